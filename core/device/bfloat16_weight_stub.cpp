#include "core/base/error.h"
#include "core/device/bfloat16_weight.h"

// Takes the place of bfloat16_weight.cpp in builds without oneDNN.

namespace rankfold {

std::string bfloat16_obstacle() {
  return "this build has no oneDNN";
}

class Bfloat16Weight::Product {};

Bfloat16Weight::Bfloat16Weight(const float*, std::size_t, std::size_t) {
  throw Error("products in bfloat16: {}", bfloat16_obstacle());
}
Bfloat16Weight::~Bfloat16Weight() = default;
Bfloat16Weight::Bfloat16Weight(Bfloat16Weight&&) noexcept = default;
Bfloat16Weight& Bfloat16Weight::operator=(Bfloat16Weight&&) noexcept = default;

void Bfloat16Weight::forward(MatrixView<const float>, const float*, MatrixView<float>) const {}
void Bfloat16Weight::backward(MatrixView<const float>, MatrixView<float>, bool) const {}

}  // namespace rankfold
