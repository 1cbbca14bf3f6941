#pragma once

#include <string>

namespace rankfold {

/// The one text of a number, which reads back as the same double: the shortest digits that do, and
/// below 1 the shorter of the plain and the exponent form (plain in a tie: "0.06", but "5e-4"),
/// from 1 on the plain form ("16", "1.5"; beyond 1e15 the exponent form "1e16").
std::string canonical_number(double value);

}  // namespace rankfold
