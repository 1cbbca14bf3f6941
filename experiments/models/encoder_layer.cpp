#include "experiments/models/encoder_layer.h"

#include <algorithm>
#include <utility>

namespace rankfold {
namespace {

/// f(x + bias) into `value`; x becomes f'(x + bias) where `keep`.
void activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
              MatrixView<float> value, bool keep) {
  const std::vector<float> zeros(bias ? 0 : x.columns);
  const float* added = bias ? bias : zeros.data();
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < x.rows; ++i)
    activate_row(activation, x.columns, x.row(i), added, value.row(i), keep ? x.row(i) : nullptr);
}

}  // namespace

EncoderScratch::EncoderScratch(std::shared_ptr<const Backend> backend)
    : query(backend),
      key(backend),
      value(backend),
      context(backend),
      attended(backend),
      activated(backend),
      inner(backend),
      normalised(backend),
      deviations(backend),
      d_query(backend),
      d_key(backend),
      d_value(backend),
      d_context(backend),
      d_dense(backend),
      d_inner(backend),
      attention(backend) {}

EncoderLayer::EncoderLayer(const EncoderSettings& settings, Parts parts, std::string place,
                           std::shared_ptr<const Backend> backend)
    : settings_(settings),
      linears_(std::move(parts.linears)),
      attention_norm_(parts.attention_norm),
      output_norm_(parts.output_norm),
      place_(std::move(place)),
      attention_(settings.heads, settings.hidden / settings.heads, backend),
      trace_(backend),
      first_rows_(backend),
      query_(backend),
      key_(backend),
      value_(backend),
      context_(backend),
      attended_(backend),
      activated_(backend),
      derivative_(backend),
      attention_normalised_(backend),
      attention_deviations_(backend),
      output_normalised_(backend),
      output_deviations_(backend),
      output_(backend) {}

bool EncoderLayer::plan(bool below) {
  plan_.input = below;
  plan_.attention = below || query().adapted() || key().adapted() || value().adapted();
  plan_.attended =
      plan_.attention || attention_output().adapted() || attention_norm_.weight_gradient;
  plan_.any = plan_.attended || up().adapted() || down().adapted() || output_norm_.weight_gradient;
  return plan_.any;
}

Dropout EncoderLayer::dropout(const char* where, double p, const EncoderPass& pass) const {
  return pass.training && p > 0 ? Dropout(p, pass.seed, place_ + where, pass.step) : Dropout();
}

MatrixView<const float> EncoderLayer::query_input(MatrixView<const float> x,
                                                  const EncoderPass& pass, bool first_rows_only) {
  if (!first_rows_only) return x;
  const std::size_t sequences = pass.starts.size() - 1;
  const MatrixView<float> rows = first_rows_.matrix(sequences, x.columns);
  for (std::size_t s = 0; s < sequences; ++s)
    std::copy_n(x.row(pass.starts[s]), x.columns, rows.row(s));
  return rows;
}

MatrixView<float> EncoderLayer::forward(MatrixView<const float> x, const EncoderPass& pass,
                                        bool first_rows_only, EncoderScratch& scratch) {
  const std::size_t hidden = settings_.hidden, tokens = x.rows;
  const bool keep = pass.training && plan_.any;
  const bool keep_attention = keep && plan_.attention;
  const auto memory = [](bool own, Memory& mine, Memory& shared) -> Memory& {
    return own ? mine : shared;
  };

  const MatrixView<const float> x_query = query_input(x, pass, first_rows_only);
  const std::size_t rows = x_query.rows;
  const SequenceStarts& row_starts = first_rows_only ? pass.firsts : pass.starts;
  const MatrixView<float> q = memory(keep_attention, query_, scratch.query).matrix(rows, hidden);
  const MatrixView<float> k = memory(keep_attention, key_, scratch.key).matrix(tokens, hidden);
  const MatrixView<float> v = memory(keep_attention, value_, scratch.value).matrix(tokens, hidden);
  query().forward(x_query, q, keep);
  key().forward(x, k, keep);
  value().forward(x, v, keep);

  const MatrixView<float> context =
      memory(keep && attention_output().adapted(), context_, scratch.context).matrix(rows, hidden);
  attention_.forward(q, k, v, row_starts, pass.starts,
                     dropout(".attention", settings_.attention_dropout, pass),
                     keep_attention ? &trace_ : nullptr, context);

  // The dense output becomes the normalised sum in place.
  const MatrixView<float> dense =
      memory(keep && plan_.attended, attention_normalised_, scratch.normalised)
          .matrix(rows, hidden);
  const float* bias = attention_output().forward_without_bias(context, dense, keep);
  const MatrixView<float> attended =
      memory(keep && up().adapted(), attended_, scratch.attended).matrix(rows, hidden);
  add_and_normalise(
      attention_norm_, dense, bias, dropout(".attention.output", settings_.hidden_dropout, pass),
      x_query, keep && plan_.attended ? dense.data : nullptr,
      keep && plan_.attended ? attention_deviations_.reserve(rows) : nullptr, attended);

  const bool keep_inner = keep && (plan_.attended || up().adapted());
  const MatrixView<float> inner =
      memory(keep_inner, derivative_, scratch.inner).matrix(rows, settings_.intermediate);
  bias = up().forward_without_bias(attended, inner, keep);
  const MatrixView<float> activated =
      memory(keep && down().adapted(), activated_, scratch.activated)
          .matrix(rows, settings_.intermediate);
  activate(settings_.activation, inner, bias, activated, keep_inner);

  const MatrixView<float> dense_output =
      memory(keep, output_normalised_, scratch.normalised).matrix(rows, hidden);
  bias = down().forward_without_bias(activated, dense_output, keep);
  const MatrixView<float> output = output_.matrix(rows, hidden);
  add_and_normalise(output_norm_, dense_output, bias,
                    dropout(".output", settings_.hidden_dropout, pass), attended,
                    keep ? dense_output.data : nullptr,
                    keep ? output_deviations_.reserve(rows) : nullptr, output);
  return output;
}

void EncoderLayer::backward_feed_forward(const EncoderPass& pass, std::size_t rows,
                                         MatrixView<float> gradient, EncoderScratch& scratch) {
  const std::size_t hidden = settings_.hidden;
  const MatrixView<float> d_dense = scratch.d_dense.matrix(rows, hidden);
  add_and_normalise_backward(output_norm_, dropout(".output", settings_.hidden_dropout, pass),
                             gradient, output_normalised_.data(), output_deviations_.data(),
                             gradient, d_dense);
  const bool through_up = plan_.attended || up().adapted();
  if (!through_up && !down().adapted()) return;
  MatrixView<float> d_inner(nullptr, rows, settings_.intermediate);
  if (through_up) d_inner = scratch.d_inner.matrix(rows, settings_.intermediate);
  down().backward({activated_.data(), rows, settings_.intermediate}, d_dense, d_inner, false);
  if (!through_up) return;
  const float* derivative = derivative_.data();
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < rows; ++i)
    multiply_row(d_inner.columns, d_inner.row(i), derivative + i * d_inner.columns, d_inner.row(i));
  // The gradient of the residual is there already.
  up().backward({attended_.data(), rows, hidden}, d_inner,
                plan_.attended ? gradient : MatrixView<float>(nullptr, rows, hidden), true);
}

void EncoderLayer::backward(MatrixView<const float> x, const EncoderPass& pass,
                            bool first_rows_only, Memory& gradient_memory, Memory& other,
                            EncoderScratch& scratch) {
  if (!plan_.any) return;
  const std::size_t hidden = settings_.hidden, tokens = x.rows;
  const std::size_t rows = first_rows_only ? pass.starts.size() - 1 : tokens;
  const SequenceStarts& row_starts = first_rows_only ? pass.firsts : pass.starts;
  const MatrixView<const float> x_query =
      first_rows_only ? MatrixView<const float>(first_rows_.data(), rows, hidden) : x;
  const auto none = [hidden](std::size_t count) {
    return MatrixView<float>(nullptr, count, hidden);
  };

  const MatrixView<float> gradient = gradient_memory.matrix(rows, hidden);
  backward_feed_forward(pass, rows, gradient, scratch);
  if (!plan_.attended) return;

  const MatrixView<float> d_dense = scratch.d_dense.matrix(rows, hidden);
  add_and_normalise_backward(
      attention_norm_, dropout(".attention.output", settings_.hidden_dropout, pass), gradient,
      attention_normalised_.data(), attention_deviations_.data(), gradient, d_dense);
  const MatrixView<float> d_context =
      plan_.attention ? scratch.d_context.matrix(rows, hidden) : none(rows);
  attention_output().backward({context_.data(), rows, hidden}, d_dense, d_context, false);
  if (!plan_.attention) return;

  const auto wanted = [this](const HostLinear& linear) { return plan_.input || linear.adapted(); };
  const MatrixView<float> dq = wanted(query()) ? scratch.d_query.matrix(rows, hidden) : none(rows);
  const MatrixView<float> dk = wanted(key()) ? scratch.d_key.matrix(tokens, hidden) : none(tokens);
  const MatrixView<float> dv =
      wanted(value()) ? scratch.d_value.matrix(tokens, hidden) : none(tokens);
  attention_.backward({query_.data(), rows, hidden}, {key_.data(), tokens, hidden},
                      {value_.data(), tokens, hidden}, row_starts, pass.starts,
                      dropout(".attention", settings_.attention_dropout, pass), trace_, d_context,
                      dq, dk, dv);

  const bool separate = first_rows_only && plan_.input;
  MatrixView<float> dx = none(tokens);
  if (plan_.input) dx = separate ? other.matrix(tokens, hidden) : gradient;
  if (dq.data) query().backward(x_query, dq, plan_.input ? gradient : none(rows), true);
  if (dk.data) key().backward(x, dk, dx, !separate);
  if (dv.data) value().backward(x, dv, dx, true);
  if (!separate) return;
  for (std::size_t s = 0; s < rows; ++s) add_row(hidden, gradient.row(s), dx.row(pass.starts[s]));
  std::swap(gradient_memory, other);
}

}  // namespace rankfold
