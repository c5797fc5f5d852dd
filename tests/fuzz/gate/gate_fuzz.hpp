// What must hold of the gate whatever bytes it gets, for a fuzzer and for the unit test that replays the seeds.
#pragma once

#include <string_view>

namespace orlop::control {

/// Feeds `input` to gates in pieces of several sizes. Aborts when one forwards what it must not, or when the size of
/// the pieces changes what it forwards. The first byte decides the pieces and the descriptors that come along.
void check_gate(std::string_view input);

}  // namespace orlop::control
