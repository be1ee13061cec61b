/* Marks of collectives are made while somebody gives up waiting for older ones: none may be counted twice.
 *
 * Compiled with a wait of 1 ms instead of a second, since giving up is where the counter was wrong.
 */
#include "work/collectives.c"
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, MARKS = 8 };
static bool ended;
static int lowest;

static void *issue(void *unused) {
    (void)unused;
    nc_mark marks[MARKS] = {0};
    for (unsigned i = 0; !GET(ended); i++) {
        nc_collective_issued(NULL, false);
        nc_mark_recorded(&marks[i % MARKS], NULL);
        int now = GET(unseen);
        if (now < GET(lowest)) SET(lowest, now);
    }
    for (int i = 0; i < MARKS; i++) nc_mark_clear(&marks[i]);
    return NULL;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 300;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, issue, NULL);
    for (int given = 0; given < rounds;) {
        unsigned long long before = GET(given_up);
        nc_host_waits();
        given += GET(given_up) != before;
    }
    SET(ended, true);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    printf("%d left, lowest %d\n", unseen, lowest);
    return unseen != 0 || lowest != 0;
}
