/* Another process, as /proc shows it (proc(5)). */
#include "base/processes.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GENERATIONS = 4 /* launcher, program, its pool, the pool's workers */, TEXT = 4096 };

static bool read_text(const char *path, char text[TEXT]) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = file < 0 ? -1 : read(file, text, TEXT - 1);
    if (file >= 0) close(file);
    text[bytes > 0 ? bytes : 0] = 0;
    return bytes > 0;
}

/* The fields from the third on, the state; the second is a name, which may hold anything. */
static const char *state_of(int pid, char text[TEXT]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const char *name_ends = read_text(path, text) ? strrchr(text, ')') : NULL;
    const char *state = name_ends && name_ends[1] ? name_ends + 2 : NULL;
    return state && *state != 'Z' && *state != 'X' ? state : NULL; /* a zombie waits for its parent only */
}

static unsigned long long field(const char *state, int number) {
    for (int at = 3; at < number && state; at++) state = (state = strchr(state, ' ')) ? state + 1 : NULL;
    return state ? strtoull(state, NULL, 10) : 0;
}

uint64_t nc_process_born(int pid) {
    char text[TEXT];
    const char *state = pid > 0 ? state_of(pid, text) : NULL;
    return state ? field(state, 22) : 0;
}

static uint64_t ticks(int pid, int generations);

static uint64_t of_children(int pid, const char *thread, int generations) {
    char path[320], text[TEXT], *at = text, *end;
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, thread);
    if (!read_text(path, text)) return 0;
    for (long child; (child = strtol(at, &end, 10)) > 0 && end != at; at = end)
        sum += ticks((int)child, generations - 1);
    return sum;
}

static uint64_t ticks(int pid, int generations) {
    char path[64], text[TEXT];
    const char *state = state_of(pid, text);
    if (!state) return 0;
    uint64_t sum = field(state, 14) + field(state, 15) + field(state, 16) + field(state, 17);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = generations ? opendir(path) : NULL;
    if (!threads) return sum;
    for (struct dirent *each; (each = readdir(threads));)
        if (each->d_name[0] != '.') sum += of_children(pid, each->d_name, generations);
    closedir(threads);
    return sum;
}
uint64_t nc_process_ticks(int pid) { return ticks(pid, GENERATIONS); }
