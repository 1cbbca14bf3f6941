#include "experiments/models/linear_reader.h"

#include <array>
#include <map>
#include <string>
#include <utility>

namespace rankfold {
namespace {

constexpr std::array reading_order = {MatrixType::in_proj, MatrixType::q,   MatrixType::k,
                                      MatrixType::v,       MatrixType::o,   MatrixType::gate,
                                      MatrixType::up,      MatrixType::down};

/// The rows of a fused weight that are a part's: where they lie, or a copy where others lie
/// between.
FrozenLinear<float> part_of(const FrozenLinear<float>& whole, const Site& part,
                            const StoredMatrix& stored, FrozenWeights& weights) {
  FrozenLinear<float> frozen = whole;
  if (stored.lies_together(part.out)) {
    frozen.weight += stored.first_row * part.in;
    if (frozen.bias) frozen.bias += stored.first_row;
    return frozen;
  }
  std::vector<std::size_t> rows(part.out);
  for (std::size_t row = 0; row < part.out; ++row) rows[row] = stored.row(row);
  frozen.weight = weights.gather({whole.weight, stored.rows, part.in}, rows);
  weights.release(stored.module + ".weight");
  if (whole.bias) frozen.bias = weights.gather({whole.bias, stored.rows, 1}, rows);
  return frozen;
}

}  // namespace

LinearReader::LinearReader(const ModelShape& shape, FrozenWeights& weights,
                           std::shared_ptr<const Device> device, bool bfloat16)
    : shape_(shape),
      catalogue_(catalogue(shape)),
      weights_(weights),
      device_(std::move(device)),
      bfloat16_(bfloat16) {}

FrozenLinear<float> LinearReader::read_frozen(const Site& site) {
  const StoredMatrix stored = stored_matrix(shape_, site);
  const std::string name = stored.module + ".weight";
  FrozenLinear<float> frozen;
  frozen.weight = stored.transposed ? weights_.transposed(name, stored.rows, site.in)
                                    : weights_.tensor(name, {stored.rows, site.in});
  frozen.bias = read_bias(site);
  return frozen;
}

/// The tensor that has it, or put together of several; null where the checkpoint has none.
const float* LinearReader::read_bias(const Site& site) {
  std::map<std::string, VectorPart> parts;
  for (std::size_t row = 0; row < site.out; ++row) {
    const StoredBias stored = stored_bias(shape_, site, row);
    if (stored.tensor.empty()) continue;
    auto known = parts.find(stored.tensor);
    if (known == parts.end()) {
      const float* values = weights_.tensor(stored.tensor, {stored.size});
      if (stored.size == site.out && stored.place == row) return values;
      known = parts.emplace(stored.tensor, VectorPart{values, {}}).first;
      known->second.rows.resize(stored.size);
    }
    known->second.rows[stored.place] = row;
  }
  if (parts.empty()) return nullptr;
  std::vector<VectorPart> all;
  for (auto& [name, part] : parts) all.push_back(std::move(part));
  return weights_.put_together(site.out, std::move(all));
}

std::vector<HostLinear> LinearReader::read_layer(std::size_t layer) {
  std::vector<HostLinear> linears;
  std::map<std::string, FrozenLinear<float>> wholes;
  for (const MatrixType type : reading_order)
    for (const Site& site : catalogue_.sites) {
      if (site.layer != layer || site.matrix != type) continue;
      if (!site.part_of.empty()) {
        const auto read = [whole = wholes.at(site.part_of), site,
                           stored = stored_matrix(shape_, site),
                           weights = &weights_] { return part_of(whole, site, stored, *weights); };
        linears.emplace_back(site, read, device_, bfloat16_);
        continue;
      }
      const FrozenLinear<float> frozen = read_frozen(site);
      if (type == MatrixType::in_proj) {
        wholes.emplace(site.name, frozen);
        linears.emplace_back(
            site, [frozen] { return frozen; }, device_, bfloat16_);
      } else {
        linears.emplace_back(site, frozen, device_, bfloat16_);
      }
    }
  return linears;
}

std::optional<HostLinear> LinearReader::read_module(MatrixType type, std::size_t layer) {
  for (const Site& site : catalogue_.sites)
    if (site.layer == layer && site.matrix == type)
      return HostLinear(site, read_frozen(site), device_, bfloat16_);
  return {};
}

}  // namespace rankfold
