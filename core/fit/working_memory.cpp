#include "core/fit/working_memory.h"

#include <malloc.h>

namespace rankfold {

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

}  // namespace rankfold
