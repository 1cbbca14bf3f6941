#pragma once

#include "core/device/arena.h"
#include "experiments/models/decoder_host.h"
#include "experiments/models/decoder_rows.h"
#include "experiments/models/host_parts.h"
#include "experiments/models/virtual_tokens.h"

// The class behind make_decoder_host: decoder_host.cpp, and of losses and training
// decoder_host_training.cpp. Nothing else includes it.

namespace rankfold {

class DecoderHost final : public Host {
 public:
  DecoderHost(DecoderNetwork network, const HostSettings& settings,
              std::shared_ptr<const Device> device);

  const SiteCatalogue& catalogue() const override { return network_.catalogue; }
  FrozenLinear<float> frozen(const Site& site) const override {
    return find_frozen(linears_, site, network_.catalogue);
  }
  void attach(Adapter<float>* adapter) override;
  std::vector<TrainedTensor> trained() override;
  void zero_gradients() override;
  std::vector<DrawnTensor> drawn() const override { return {}; }
  std::vector<DrawnTensor> replaced() const override {
    return list_replaced(network_.weights->replaced());
  }
  std::size_t total_parameters() const override {
    return network_.weights->elements() + (network_.score ? network_.score->new_elements() : 0);
  }
  std::size_t max_tokens() const override { return network_.limits.positions; }
  std::size_t hidden_size() const override { return network_.hidden; }
  std::size_t frozen_layers() const override { return frozen_layers_; }
  void features(const Batch& given, MatrixView<float> rows) override;
  std::vector<float> words(std::span<const std::int32_t> ids) const override {
    return read_words(network_.embedding.words, network_.hidden, network_.limits, ids, *device_);
  }
  std::map<std::string, double> dropouts() const override { return network_.dropouts; }
  const std::vector<std::string>& notes() const override { return network_.notes; }

  void check(const Batch& batch) const override { check_batch(batch, network_.limits, false); }
  std::vector<float> predict(const Batch& given) override;
  double train_pass(const Batch& given, std::uint64_t seed, std::uint64_t step) override;
  std::vector<std::vector<float>> hidden_states(const Batch& given) override;

  double mean_loss(const Batch& given) override;
  std::vector<double> answer_scores(const Batch& given) override;
  std::vector<float> token_logits(const Batch& given) override;
  KeyValueCache make_cache(std::span<const std::size_t> tokens) const override;
  std::vector<float> next_logits(const Batch& given, std::span<const std::size_t> cached,
                                 KeyValueCache& cache) override;

 private:
  const std::string& model() const { return network_.catalogue.model; }
  std::vector<HostLinear*> linears();
  TrainedWeights* all() { return network_.weights->trained(); }  ///< null unless all trains
  void train_network(TrainedWeights& weights);
  void expect_language_model() const;

  const Batch& read_part(const Batch& batch, bool with_labels);
  const Batch& whole(const Batch& batch) { return virtual_.with_tokens(batch, 0); }
  DecoderPass start_pass(const Batch& batch, const PassKind& kind = {});
  DecoderPass turned(DecoderPass pass);
  void form_input(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows);
  MatrixView<float> run_layer(std::size_t i, MatrixView<float> rows, const DecoderPass& pass,
                              DecoderApplication& application);
  MatrixView<float> run_layers(const DecoderPass& pass, MatrixView<float> rows, std::size_t first);
  MatrixView<float> last_rows(const Batch& batch, const DecoderPass& pass);
  MatrixView<float> all_rows(const Batch& batch, const DecoderPass& pass);
  std::vector<float> logits_of(MatrixView<float> rows);
  double classify(const Batch& batch, MatrixView<const float> rows, bool training,
                  MatrixView<float> gradient);
  double predict_tokens(const Batch& batch, MatrixView<const float> rows, bool training,
                        MatrixView<float> gradient);
  double loss(const Batch& batch, MatrixView<const float> rows, bool training,
              MatrixView<float> gradient);

  DecoderNetwork network_;
  HostSettings settings_;
  std::shared_ptr<const Device> device_;
  std::vector<HostLinear*> linears_;  ///< of all layers
  TrainedNorms norms_;
  std::vector<std::size_t> words_;  ///< of a pass whose embedding trains
  bool layers_train_ = false;
  std::size_t frozen_layers_ = 0;

  Arena arena_;
  DecoderRows rows_;
  PaddingCut cut_;
  std::vector<double> losses_, scores_;  ///< of labelled tokens, of answers
  std::vector<float> scales_;
  VirtualTokens virtual_;
  std::size_t positions_;                                        ///< with those of virtual tokens
  DecoderApplication of_all_rows_{""}, of_last_rows_{"", true};  ///< of passes without backward
};

}  // namespace rankfold
