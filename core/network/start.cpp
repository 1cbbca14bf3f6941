#include "core/network/start.h"

#include <fmt/core.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

std::vector<double> read_samples(const std::function<std::vector<double>()>& read,
                                 const Site& site) {
  if (!read)
    throw Error("site {}: its start reads the task's data, which only training has", site.name);
  return read();
}

}  // namespace

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

std::vector<double> Start::input_moments() const {
  return read_samples(access_.input_moments, site_);
}

std::vector<double> Start::weight_gradient() const {
  return read_samples(access_.weight_gradient, site_);
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
