#include "experiments/training/start_samples.h"

#include <algorithm>

#include "core/adapter/frozen_product.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "decompositions/registry.h"
#include "experiments/models/shapes.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {
namespace {

/// The frozen layers themselves, which remember what they were given.
class InputProbe final : public Adapter<float> {
 public:
  InputProbe(const Stack& stack, std::shared_ptr<const Device> device)
      : Adapter("inputs", stack, std::vector<Place>(stack.sites.size(), Place::beside), device),
        moments_(stack.sites.size()),
        tokens_(stack.sites.size()) {
    for (std::size_t index = 0; index < moments_.size(); ++index)
      moments_[index].resize(stack.sites[index].in * stack.sites[index].in);
  }

  std::vector<double> mean(std::size_t site) const {
    std::vector<double> mean = moments_[site];
    for (double& value : mean)
      value /= static_cast<double>(std::max<std::size_t>(tokens_[site], 1));
    return mean;
  }

  using Adapter::is_weight_update;
  bool is_weight_update(std::size_t) const override { return true; }
  bool needs_frozen() const override { return false; }
  bool adds_bias(std::size_t) const override { return false; }
  StartSamples start_samples() const override { return StartSamples::none; }

 private:
  void do_forward(std::span<const SiteMatrix<float>> outputs, MatrixView<const float> x,
                  Trace<float>*, Bias bias) const override {
    std::vector<float> products(x.columns * x.columns);
    device_->gemm(true, false, x.columns, x.columns, x.rows, 1.0F, x.data, x.stride, x.data,
                  x.stride, 0.0F, products.data(), x.columns);
    for (const SiteMatrix<float>& output : outputs) {
      frozen_forward(*device_, frozen_[output.site], x, output.matrix, bias);
      std::vector<double>& sum = moments_[output.site];
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(products[i]);
      tokens_[output.site] += x.rows;
    }
  }
  void do_reconstruct(std::size_t, MatrixView<float>) const override { refuse(); }
  void do_backward(std::span<const SiteMatrix<const float>>, MatrixView<const float>,
                   const Trace<float>&, MatrixView<float>, Into) override {
    refuse();
  }
  Plan do_plan(std::span<const std::size_t>, std::size_t, bool) const override { return {}; }
  void do_start(std::uint64_t) override {}
  [[noreturn]] static void refuse() { throw Error("[inputs] only goes forwards"); }

  mutable std::vector<std::vector<double>> moments_;
  mutable std::vector<std::size_t> tokens_;
};

}  // namespace

void start_as_words(const Method& method, const MethodSettings& settings, Adapter<float>& adapter,
                    const Host& host, const std::filesystem::path& model, std::uint64_t seed) {
  if (method.entry != Entry::embeddings || !settings.options.contains("init")) return;
  const std::string& start = settings.text("init");
  if (start != "text" && start != "vocabulary") return;
  const std::size_t tokens = settings.count("tokens");
  std::vector<std::int32_t> ids;
  if (start == "text") {
    ids = load_tokenizer(model)->encode(settings.text("init-text")).ids;
    if (ids.empty())
      throw UsageError("[{}] text is '{}', which has no tokens", method.name,
                       printable(settings.text("init-text"), 80));
    const std::size_t own = ids.size();
    ids.resize(tokens);
    for (std::size_t i = own; i < tokens; ++i) ids[i] = ids[i - own];
  } else {
    const std::size_t vocabulary = read_shape(model).vocabulary;
    const RandomStream stream(seed, "initialise/" + method.name + "/words");
    for (std::size_t i = 0; i < tokens; ++i)
      ids.push_back(static_cast<std::int32_t>(stream.bits(i) % vocabulary));
  }
  const std::vector<float> rows = host.words(ids);
  std::ranges::copy(rows, HostWrite<float>(adapter.parameters().front().value).data());
}

std::vector<SiteSamples> sample_start(Host& host, const Stack& stack, StartSamples wanted,
                                      std::size_t examples, const BatchPacker& pack,
                                      std::size_t batch, std::uint64_t seed,
                                      std::shared_ptr<const Device> device) {
  if (wanted == StartSamples::none) return {};
  std::vector<std::vector<std::size_t>> batches = epoch_batches(examples, batch, seed, 1);
  if (batches.size() > start_batches) batches.resize(start_batches);
  std::vector<SiteSamples> samples(stack.sites.size());
  if (wanted == StartSamples::inputs) {
    InputProbe probe(stack, device);
    host.attach(&probe);
    for (const std::vector<std::size_t>& chosen : batches) host.predict(pack(chosen));
    host.attach(nullptr);
    for (std::size_t site = 0; site < samples.size(); ++site)
      samples[site].input_moments = probe.mean(site);
    return samples;
  }
  // The gradient of a dense update that is zero is that of the weight.
  const Method dense = full();
  const auto adapter =
      make_adapter<float>(dense, stack, resolve_settings(dense, {}, stack), device);
  host.attach(adapter.get());
  adapter->initialise(seed);
  adapter->zero_gradients();
  host.zero_gradients();
  for (std::size_t index = 0; index < batches.size(); ++index)
    host.train_pass(pack(batches[index]), seed, index);
  host.zero_gradients();
  host.attach(nullptr);
  const double count = static_cast<double>(std::max<std::size_t>(batches.size(), 1));
  for (std::size_t site = 0; site < samples.size(); ++site)
    for (const float value : adapter->parameter("D." + stack.sites[site].name).gradient.span())
      samples[site].weight_gradient.push_back(static_cast<double>(value) / count);
  return samples;
}

}  // namespace rankfold
