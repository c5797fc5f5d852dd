// What a test cannot go on without.
#pragma once

#include <catch2/catch.hpp>
#include <utility>

#include "base/error.hpp"

namespace orlop {

/// The value, or the end of the test with the error's own words.
template <class T>
T need(Result<T>&& result) {
  if (!result) FAIL(text(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Ends the test when a plain call that sets errno failed.
inline void need(bool succeeded) {
  if (!succeeded) FAIL(errno_text(errno));
}

}  // namespace orlop
