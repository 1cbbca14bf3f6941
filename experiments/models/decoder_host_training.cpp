#include <numeric>
#include <span>

#include "core/device/arena.h"
#include "experiments/models/blocks/classification_loss.h"
#include "experiments/models/blocks/option_loss.h"
#include "experiments/models/decoder_host_class.h"

// Losses of a decoder, and its training.

namespace rankfold {

double DecoderHost::classify(const Batch& batch, MatrixView<const float> rows, bool training,
                             MatrixView<float> gradient) {
  const ArenaScope scope(arena_);
  const MatrixView<float> normed = arena_.take_matrix(rows.rows, rows.columns);
  normalise(network_.last_norm, rows, normed, *device_);
  const MatrixView<float> logits = network_.score->forward(normed, arena_),
                          d_logits = arena_.take_matrix(logits.rows, logits.columns);
  const double loss = classification_loss(
      logits, batch.labels, {settings_.regression, settings_.label_smoothing}, d_logits, *device_);
  if (!training) return loss;
  MatrixView<float> d_normed(nullptr, rows.rows, rows.columns);
  if (gradient.data || network_.last_norm.weight_gradient)
    d_normed = arena_.take_matrix(rows.rows, rows.columns);
  network_.score->backward(normed, d_logits, d_normed);
  if (d_normed.data)
    normalise_backward(network_.last_norm, d_normed, rows, false, gradient, *device_);
  return loss;
}

double DecoderHost::predict_tokens(const Batch& batch, MatrixView<const float> rows, bool training,
                                   MatrixView<float> gradient) {
  rows_.find_labels(batch);
  const bool back = training && (gradient.data || network_.last_norm.weight_gradient);
  const std::size_t labelled = rows_.labelled().size();
  losses_.resize(labelled);
  scales_.assign(back ? labelled : 0, 1.0f / static_cast<float>(labelled));
  double loss = 0;
  if (!batch.options.empty()) {
    // How much a token weighs follows from the scores of all options.
    network_.output->losses(network_.last_norm, rows, rows_.labelled(), rows_.labels(), losses_,
                            arena_);
    score_answers(losses_, rows_.answers(), scores_);
    loss = option_loss({rows_.answers(), batch.options, batch.labels}, scores_, scales_);
    if (!back) return loss;
  }
  network_.output->losses_and_gradients(network_.last_norm, rows, rows_.labelled(), rows_.labels(),
                                        scales_, losses_, gradient, arena_);
  if (!batch.options.empty()) return loss;
  return std::accumulate(losses_.begin(), losses_.end(), 0.0) / static_cast<double>(labelled);
}

double DecoderHost::loss(const Batch& batch, MatrixView<const float> rows, bool training,
                         MatrixView<float> gradient) {
  return network_.score ? classify(batch, rows, training, gradient)
                        : predict_tokens(batch, rows, training, gradient);
}

/// What the layers make of every token, without dropout.
MatrixView<float> DecoderHost::all_rows(const Batch& batch, const DecoderPass& pass) {
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  form_input(batch, pass, rows);
  return run_layers(pass, rows, batch.features.data ? frozen_layers_ : 0);
}

double DecoderHost::mean_loss(const Batch& given) {
  const Batch& batch = read_part(given, true);
  const DecoderPass pass = start_pass(batch);
  if (network_.score) return loss(batch, last_rows(batch, pass), false, {});
  return loss(batch, all_rows(batch, pass), false, {});
}

std::vector<double> DecoderHost::answer_scores(const Batch& given) {
  expect_language_model();
  const Batch& batch = read_part(given, true);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> rows = all_rows(batch, pass);
  rows_.find_labels(batch);
  losses_.resize(rows_.labelled().size());
  network_.output->losses(network_.last_norm, rows, rows_.labelled(), rows_.labels(), losses_,
                          arena_);
  std::vector<double> scores;
  score_answers(losses_, rows_.answers(), scores);
  return scores;
}

double DecoderHost::train_pass(const Batch& given, std::uint64_t seed, std::uint64_t step) {
  const Batch& batch = read_part(given, true);
  const DecoderPass pass = start_pass(batch, {true, seed, step});
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  const bool of_last_rows = network_.applications.back().last_rows_only;
  MatrixView<float> of_all(nullptr, rows.rows, rows.columns), gradient = of_all;
  if (layers_train_) gradient = of_all = arena_.take_matrix(rows.rows, rows.columns);
  if (of_last_rows) {
    gradient = {nullptr, batch.sequences(), rows.columns};
    if (layers_train_) gradient = arena_.take_matrix(batch.sequences(), rows.columns);
  }
  form_input(batch, pass, rows);
  const MatrixView<float> y = run_layers(pass, rows, batch.features.data ? frozen_layers_ : 0);
  const double value = loss(batch, y, true, gradient);
  for (std::size_t i = network_.layers.size(); i-- > 0;) {
    DecoderApplication& application = network_.applications[i];
    network_.layers[i].backward(pass, application, gradient, of_all, arena_);
    gradient = of_all;
    if (!application.reach.input) break;
  }
  if (all() || virtual_.embedded() > 0)
    network_.embedding.backward(batch, pass, gradient, words_, *device_);
  if (all()) all()->collect();
  virtual_.backward();
  return value;
}

}  // namespace rankfold
