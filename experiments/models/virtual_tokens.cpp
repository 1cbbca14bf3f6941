#include "experiments/models/virtual_tokens.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace rankfold {
namespace {

void check_virtual_site(const Site& site, const SiteCatalogue& catalogue) {
  const auto own = std::ranges::find(catalogue.virtual_sites, site.name, &Site::name);
  if (own == catalogue.virtual_sites.end() || own->matrix != site.matrix)
    throw Error("{}: has no place {} for virtual tokens", catalogue.model, site.name);
  if (own->out != site.out)
    throw Error("{}: virtual tokens at {} have {} numbers, expected {}", catalogue.model, site.name,
                site.out, own->out);
  if (site.matrix != MatrixType::virtual_tokens && !catalogue.prefix_obstacle.empty())
    throw Error("{}: {}: {}", catalogue.model, site.name, catalogue.prefix_obstacle);
}

}  // namespace

void VirtualTokens::attach(Adapter<float>* adapter, const SiteCatalogue& catalogue,
                           std::size_t positions) {
  *this = VirtualTokens(device_);
  if (!adapter) return;
  const std::vector<Site>& sites = adapter->stack().sites;
  for (std::size_t index = 0; index < sites.size(); ++index) {
    const Site& site = sites[index];
    if (!is_virtual(site.matrix)) continue;
    check_virtual_site(site, catalogue);
    if (site.in >= positions)
      throw Error("{}: {} virtual tokens, expected fewer than its {} positions", catalogue.model,
                  site.in, positions);
    if (count_ != 0 && count_ != site.in)
      throw Error("{}: {} virtual tokens at {}, {} before, expected as many everywhere",
                  catalogue.model, site.in, site.name, count_);
    adapter_ = adapter;
    count_ = site.in;
    const bool embeds = site.matrix == MatrixType::virtual_tokens;
    if (!embeds) layers_.resize(std::max(layers_.size(), site.layer + 1));
    Place& place = embeds ? embeddings_ : layers_[site.layer];
    place.count = site.in;
    place.width += site.out;
    place.sites.push_back(index);
  }
  for (std::size_t layer = 0; layer < layers_.size(); ++layer)
    if (layers_[layer].count > 0 && layers_[layer].sites.size() != 2)
      throw Error("{}: layer {} has {} of keys and values, expected both", catalogue.model, layer,
                  layers_[layer].sites.size());
  if (embeddings_.count > 0 && !layers_.empty())
    throw Error("{}: virtual tokens have embeddings, and keys and values, expected one of them",
                catalogue.model);
  if (count_ == 0) return;
  std::vector<float> units(count_ * count_);
  for (std::size_t i = 0; i < count_; ++i) units[i * count_ + i] = 1;
  unit_vectors_ = Buffer<float>(device_, units.size());
  device_->upload(units.data(), units.size() * sizeof(float), unit_vectors_.data());
}

template <class Act>
void VirtualTokens::for_each(const Act& act) {
  if (embeddings_.count > 0) act(embeddings_);
  for (Place& place : layers_)
    if (place.count > 0) act(place);
}

void VirtualTokens::form(bool training, Arena& arena) {
  const MatrixView<const float> units(unit_vectors_.data(), count_, count_);
  for_each([&](Place& place) {
    place.rows = {arena.take_matrix(place.count, place.width), {}};
    std::array<SiteMatrix<float>, 2> outputs;
    std::size_t column = 0;
    for (std::size_t i = 0; i < place.sites.size(); ++i) {
      const std::size_t width = adapter_->stack().sites[place.sites[i]].out;
      outputs[i] = {place.sites[i],
                    {place.rows.rows.data + column, place.count, width, place.rows.rows.stride}};
      column += width;
    }
    adapter_->forward({outputs.data(), place.sites.size()}, units,
                      training ? &place.trace : nullptr);
    if (!training) return;
    place.rows.gradient = arena.take_matrix(place.count, place.width);
    device_->fill_rows(static_cast<const float*>(nullptr), place.rows.gradient);
  });
}

const VirtualRows& VirtualTokens::keys(std::size_t layer) const {
  static const VirtualRows none;
  return has_keys(layer) ? layers_[layer].rows : none;
}

void VirtualTokens::backward() {
  const MatrixView<const float> units(unit_vectors_.data(), count_, count_);
  for_each([&](Place& place) {
    std::array<SiteMatrix<const float>, 2> gradients;
    std::size_t column = 0;
    for (std::size_t i = 0; i < place.sites.size(); ++i) {
      const std::size_t width = adapter_->stack().sites[place.sites[i]].out;
      const MatrixView<float>& all = place.rows.gradient;
      gradients[i] = {place.sites[i],
                      MatrixView<const float>(all.data + column, place.count, width, all.stride)};
      column += width;
    }
    adapter_->backward({gradients.data(), place.sites.size()}, units, place.trace, {});
  });
}

const Batch& VirtualTokens::with_tokens(const Batch& batch, std::int32_t id,
                                        std::span<const std::size_t> cached,
                                        const KeyValueCache* cache) {
  if (embeddings_.count == 0) return batch;
  batch_.ids.clear();
  batch_.type_ids.clear();
  batch_.targets.clear();
  batch_.starts.assign(1, 0);
  own_rows_.clear();
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    const bool goes_on = has_prefix(batch.prefixes, s) || (cache && cache->tokens(cached[s]) > 0);
    if (!goes_on) {
      batch_.ids.insert(batch_.ids.end(), embeddings_.count, id);
      if (!batch.targets.empty())
        batch_.targets.insert(batch_.targets.end(), embeddings_.count, Batch::left_out);
    }
    if (!batch.type_ids.empty()) batch_.type_ids.resize(batch_.ids.size());
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      own_rows_.push_back(batch_.ids.size());
      batch_.ids.push_back(batch.ids[t]);
      if (!batch.type_ids.empty()) batch_.type_ids.push_back(batch.type_ids[t]);
      // A first token's target is not read, whatever lies before.
      if (!batch.targets.empty())
        batch_.targets.push_back(batch.token_before(s, t) ? batch.targets[t] : Batch::left_out);
    }
    batch_.starts.push_back(batch_.ids.size());
  }
  batch_.labels = batch.labels;
  batch_.prefixes = batch.prefixes;
  batch_.options = batch.options;
  return batch_;
}

MatrixView<float> VirtualTokens::own_rows_of(MatrixView<float> rows, Arena& arena) const {
  if (embeddings_.count == 0) return rows;
  const MatrixView<float> own = arena.take_matrix(own_rows_.size(), rows.columns);
  device_->gather_rows(rows, own_rows_, own);
  return own;
}

VirtualKeys VirtualTokens::place_keys(SequenceStarts starts, SequencePrefixes prefixes) {
  if (layers_.empty()) return {};
  order_.clear();
  starts_.assign(1, 0);
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    if (!has_prefix(prefixes, s))
      for (std::size_t i = 0; i < count_; ++i) order_.push_back(i);
    for (std::size_t t = starts[s]; t < starts[s + 1]; ++t) order_.push_back(count_ + t);
    starts_.push_back(order_.size());
  }
  return {count_, order_, starts_};
}

void VirtualTokens::begin(std::span<const std::size_t> cached, KeyValueCache& cache,
                          const std::string& model) {
  begun_.clear();
  if (layers_.empty()) return;
  for (std::size_t layer = 0; layer < cache.layers(); ++layer)
    if (!has_keys(layer))
      throw Error(
          "{}: layer {} has no learned keys, expected them in all {} or none: a cache has as "
          "many of each",
          model, layer, cache.layers());
  for (const std::size_t sequence : cached) {
    if (cache.tokens(sequence) > 0) continue;
    begun_.push_back(sequence);
    cache.add_tokens(sequence, count_);
  }
}

void VirtualTokens::fill(KeyValueCache& cache) const {
  for (const std::size_t sequence : begun_)
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      const MatrixView<float>& rows = layers_[layer].rows.rows;
      const std::size_t width = cache.width();
      const auto copy = [&](std::size_t column, MatrixView<float> to) {
        device_->copy_matrix(
            MatrixView<const float>(rows.data + column, count_, width, rows.stride),
            {to.row(cache.start(sequence)), count_, width, to.stride});
      };
      copy(0, cache.keys(layer));
      copy(width, cache.values(layer));
    }
}

}  // namespace rankfold
