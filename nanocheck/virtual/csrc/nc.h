/* The virtual GPU: what its rooms share.
 *
 * PyTorch reaches a GPU only through shared libraries. This library answers those calls and computes
 * nothing: memory is accounted for, kernels are counted, values are not produced. It is preloaded
 * into a child process and stands in for libcudart, libcublas, libcublasLt, libcudnn, libnccl and libcuda.
 */
#ifndef NANOCHECK_NC_H
#define NANOCHECK_NC_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An answer has the signature that NVIDIA gave the function, whatever of it is looked at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define NC_GRANULE ((size_t)2 << 20) /* cudaMalloc hands out whole 2 MiB pages */
#define NC_HIDDEN __attribute__((visibility("hidden")))

/* ---- card.c: which card this process has ---- */
typedef struct {
    char name[128];
    size_t total_bytes;      /* what CUDA reports as the card's memory */
    size_t context_bytes;    /* CUDA context and modules, outside every allocator */
    size_t reserve_bytes;    /* held by others: a desktop, another process */
    size_t copy_limit_bytes; /* larger transfers to the card are not carried out */
    int major, minor, sms;
    int threads_per_sm, blocks_per_sm, registers_per_sm;
    int shared_per_block, shared_per_block_optin, shared_per_sm;
    int l2_bytes, bus_bits, clock_khz, memory_khz;
} nc_card;
NC_HIDDEN const nc_card *nc_card_get(void); /* NULL while no card has been chosen */
#define NC_PENDING "pending" /* a card will be chosen before anything but its number is asked for */
NC_HIDDEN bool nc_card_pending(void);
NC_HIDDEN int nc_attribute(int attribute);

/* ---- arena.c: address ranges in granules, constant-time ---- */
typedef enum { NC_DEVICE, NC_PINNED, NC_MANAGED, NC_ARENAS } nc_arena;
NC_HIDDEN char *nc_arena_take(nc_arena arena, size_t bytes, bool commit);
NC_HIDDEN bool nc_arena_commit(char *address, size_t bytes);
NC_HIDDEN void nc_arena_decommit(char *address, size_t bytes);
NC_HIDDEN size_t nc_arena_size(nc_arena arena, const void *head); /* 0: no allocation starts there */
NC_HIDDEN void nc_arena_forget(nc_arena arena, const void *head);
NC_HIDDEN char *nc_arena_head(nc_arena arena, const void *inside); /* NULL: nothing there */
NC_HIDDEN int nc_arena_of(const void *address);                    /* an nc_arena, or -1 */
static inline size_t nc_round(size_t bytes) { return (bytes + NC_GRANULE - 1) & ~(NC_GRANULE - 1); }
static inline bool nc_is_device(const void *address) {
    int arena = nc_arena_of(address);
    return arena == NC_DEVICE || arena == NC_MANAGED;
}

/* ---- memory.c: the card's memory budget ---- */
NC_HIDDEN bool nc_budget_take(size_t bytes);
NC_HIDDEN void nc_budget_give(size_t bytes);
NC_HIDDEN size_t nc_budget_free(void);

/* ---- stream.c ---- */
NC_HIDDEN bool nc_capturing(cudaStream_t stream);
NC_HIDDEN void nc_capture_node(cudaStream_t stream); /* one more node, if the stream is capturing */

/* ---- watchdog.c: collectives finish when the host waits for the card ---- */
typedef struct {
    unsigned long long number;
    long long since;
} nc_mark; /* of an event that follows a collective */
NC_HIDDEN void nc_collective_issued(cudaStream_t stream);
NC_HIDDEN void nc_mark_recorded(nc_mark *mark, cudaStream_t stream);
NC_HIDDEN bool nc_mark_finished(nc_mark *mark); /* as the calling thread is to see it */
NC_HIDDEN void nc_mark_clear(nc_mark *mark);
NC_HIDDEN void nc_host_waits(void);

/* ---- kernels.c ---- */
typedef enum {
    NC_LAUNCHES,
    NC_FLASH,
    NC_EFFICIENT,
    NC_CUDNN,
    NC_MATMUL,
    NC_FILLS,
    NC_COPIES_SKIPPED,
    NC_COUNTERS
} nc_counter;
NC_HIDDEN void nc_count(nc_counter counter);

/* ---- fill.c: the one kind of kernel whose effect is carried out ---- */
NC_HIDDEN int nc_fill_width(const char *kernel_name); /* bytes per element, 0: not a fill */
NC_HIDDEN bool nc_fill_run(int width, void **arguments);

/* ---- fatbin.c: which architectures a module was built for ---- */
NC_HIDDEN int nc_fatbin_arch(const void *wrapper, const nc_card *card);

/* ---- unimplemented.c ---- */
NC_HIDDEN _Noreturn void nc_unimplemented(const char *symbol);
NC_HIDDEN _Noreturn void nc_refuse(const char *what, const char *mend);
NC_HIDDEN _Noreturn void nc_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
NC_HIDDEN void nc_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the thread's last error, as the CUDA runtime keeps it ---- */
extern __thread cudaError_t nc_last_error NC_HIDDEN;
static inline cudaError_t nc_fail(cudaError_t error) { return nc_last_error = error; }
NC_HIDDEN void *nc_handle(void); /* a new, distinct, non-null opaque handle */

#endif
