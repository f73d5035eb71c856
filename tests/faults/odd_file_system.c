/* A preloaded library that simulates a file system such as CIFS, FUSE, 9p or a network disk. With NO_FOLDER_SYNC in the
   environment it cannot sync a folder. With NO_SHARED_MEMORY it cannot map SQLite's -shm files into memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int descriptor) {
    struct stat status;
    if (getenv("NO_FOLDER_SYNC") && !fstat(descriptor, &status) && S_ISDIR(status.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_fsync, descriptor);
}

static int is_shm(int descriptor) {
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, name, sizeof name - 1);
    return length > 4 && !memcmp(name + length - 4, "-shm", 4);
}

void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    if (descriptor >= 0 && getenv("NO_SHARED_MEMORY") && is_shm(descriptor)) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    return mmap(address, length, protection, flags, descriptor, offset);
}
