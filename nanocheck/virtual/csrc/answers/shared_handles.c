/* Physical memory that one process creates and others map (cuMemExportToShareableHandle, ...): symmetric memory.
 *
 * What goes from process to process is a file descriptor. Here it is a small file that says which card's memory it is,
 * and how much: the card counts it for the process that created it alone. Its contents do not arrive: what ranks write
 * there is unknown to the others, as what kernels write is.
 */
#include "answers/answers.h"
#include "base/machine.h"
#include "memory/mappings.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    char what[24];
    size_t bytes;
    int slot;
} ticket;
static const char WHAT[24] = "nanocheck memory";

CUresult cuMemExportToShareableHandle(void *to, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType type, unsigned long long flags) {
    NEEDS_ROOM_CU(to);
    void *memory = (void *)(uintptr_t)handle;
    ticket said = {.bytes = nc_physical_bytes(memory), .slot = nc_physical_slot(memory)};
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
    if (!said.bytes || said.slot < 0) return CUDA_ERROR_INVALID_VALUE;
    memcpy(said.what, WHAT, sizeof WHAT);
    int file = memfd_create("nanocheck", MFD_CLOEXEC);
    if (file < 0) return CUDA_ERROR_OPERATING_SYSTEM;
    if (write(file, &said, sizeof said) != (ssize_t)sizeof said) {
        close(file);
        return CUDA_ERROR_OPERATING_SYSTEM;
    }
    *(int *)to = file;
    return CUDA_SUCCESS;
}

/* The descriptor stays the caller's. */
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *from,
                                        CUmemAllocationHandleType type) {
    NEEDS_ROOM_CU(handle);
    ticket said;
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
    if (pread((int)(intptr_t)from, &said, sizeof said, 0) != (ssize_t)sizeof said
        || memcmp(said.what, WHAT, sizeof WHAT) != 0 || said.slot < 0 || said.slot >= nc_machine_all())
        return CUDA_ERROR_INVALID_VALUE;
    *handle = (CUmemGenericAllocationHandle)(uintptr_t)nc_physical_of_another(said.slot, said.bytes);
    return CUDA_SUCCESS;
}
