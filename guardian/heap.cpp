// Replaces libc's allocator (glibc manual, "Replacing malloc"). A static glibc allocates its library search path before
// main, although nothing is ever searched; that comes from a fixed array, is never freed, and nothing else follows it.
#include "guardian/heap.hpp"

#include <errno.h>
#include <stddef.h>

namespace {

constexpr size_t capacity = 16'384;
alignas(16) unsigned char arena[capacity];
size_t used = 0;

void* take(size_t size) {
  const size_t rounded = (size + 15) & ~size_t{15};
  if (size > capacity || rounded > capacity - used) {
    errno = ENOMEM;
    return nullptr;
  }
  void* start = arena + used;
  used += rounded;
  return start;
}

}  // namespace

extern "C" {
void* malloc(size_t size) {
  return take(size);
}
void* calloc(size_t count, size_t size) {
  return take(size != 0 && count > capacity / size ? capacity + 1 : count * size);
}
void* realloc(void*, size_t) {
  return take(capacity + 1);
}
void free(void*) {}
}

namespace orlop::guardian {

void close_heap() {
  used = capacity;
}

}  // namespace orlop::guardian
