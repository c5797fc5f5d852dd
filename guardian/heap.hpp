// The guardian's heap: a few KiB that libc's own start-up takes from, closed for ever before main does anything else.
#pragma once

namespace orlop::guardian {

/// From here on every allocation fails with ENOMEM, so that nothing can come to depend on one unnoticed.
void close_heap();

}  // namespace orlop::guardian
