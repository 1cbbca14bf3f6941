#include "core/start.h"

#include <fmt/format.h>

namespace rankfold {

Start::Start(const Site& site, std::string purpose, std::uint64_t seed, Access access)
    : site_(site), purpose_(std::move(purpose)), seed_(seed), access_(std::move(access)) {}

std::vector<double> Start::factor(std::string_view name) const {
  return access_.read(name);
}

void Start::set_factor(std::string_view name, std::span<const double> values) {
  access_.write(name, values);
}

std::vector<double> Start::weight() const {
  return access_.weight();
}

const Svd& Start::weight_svd() {
  if (svd_.empty()) {
    const std::vector<double> values = weight();
    svd_.push_back(decompose_svd({values.data(), site_.out, site_.in}));
  }
  return svd_.front();
}

RandomStream Start::random(std::string_view purpose, bool shared) const {
  return RandomStream(seed_, shared ? fmt::format("{}/{}", purpose_, purpose)
                                    : fmt::format("{}/{}/{}", purpose_, site_.name, purpose));
}

}  // namespace rankfold
