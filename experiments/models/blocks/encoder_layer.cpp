#include "experiments/models/blocks/encoder_layer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/device/work.h"

namespace rankfold {
namespace {

/// What a block of rows may have: few blocks, for every product of one packs its weight again and
/// ends in a barrier, and little memory.
constexpr std::size_t most_block_rows = 2048, most_block_values = std::size_t{3} << 20;

/// f(x + bias) into `value`; x becomes f'(x + bias) where `keep`.
void activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
              MatrixView<float> value, bool keep, Arena& arena) {
  const WorkTimer timer(arena.device(), Work::elementwise);
  const ArenaScope scope(arena);
  if (!bias) {
    float* zeros = arena.take(x.columns);
    std::fill_n(zeros, x.columns, 0.0f);
    bias = zeros;
  }
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < x.rows; ++i)
    activate_row(activation, x.columns, x.row(i), bias, value.row(i), keep ? x.row(i) : nullptr);
}

void multiply(MatrixView<const float> factors, MatrixView<float> x, const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < x.rows; ++i)
    multiply_row(x.columns, x.row(i), factors.row(i), x.row(i));
}

/// `count` rows from `first` on; of no memory where the matrix has none.
template <class T>
MatrixView<T> range(MatrixView<T> x, std::size_t first, std::size_t count) {
  return {x.data ? x.row(first) : nullptr, count, x.columns, x.stride};
}

MatrixView<float> columns(MatrixView<float> x, std::size_t first, std::size_t count) {
  return {x.data + first, x.rows, count, x.stride};
}

MatrixView<float> first_rows(MatrixView<const float> x, SequenceStarts starts, Arena& arena) {
  const MatrixView<float> rows = arena.take_matrix(starts.size() - 1, x.columns);
  for (std::size_t s = 0; s < rows.rows; ++s) std::copy_n(x.row(starts[s]), x.columns, rows.row(s));
  return rows;
}

}  // namespace

EncoderLayer::EncoderLayer(const EncoderSettings& settings, Parts parts, const std::string& place,
                           std::shared_ptr<const Device> device)
    : settings_(settings),
      linears_(std::move(parts.linears)),
      attention_norm_(parts.attention_norm),
      output_norm_(parts.output_norm),
      attention_place_(place + ".attention"),
      attention_output_place_(place + ".attention.output"),
      output_place_(place + ".output"),
      attention_(settings.heads, settings.hidden / settings.heads, std::move(device)) {}

bool EncoderLayer::plan(bool below) {
  plan_.input = below;
  plan_.attention = below || reads_input();
  plan_.attended =
      plan_.attention || attention_output().adapted() || attention_norm_.weight_gradient;
  plan_.any = plan_.attended || up().adapted() || down().adapted() || output_norm_.weight_gradient;
  return plan_.any;
}

bool EncoderLayer::reads_input() const {
  return adapted(0) || adapted(1) || adapted(2);
}

EncoderLayer::Dropouts EncoderLayer::dropouts(const EncoderPass& pass) const {
  return {pass.dropout(settings_.attention_dropout, attention_place_),
          pass.dropout(settings_.hidden_dropout, attention_output_place_),
          pass.dropout(settings_.hidden_dropout, output_place_)};
}

EncoderLayer::Projections EncoderLayer::take_projections(const EncoderPass& pass,
                                                         bool first_rows_only, Arena& arena) const {
  const std::size_t hidden = settings_.hidden, tokens = pass.tokens();
  if (!first_rows_only) {
    const MatrixView<float> all = arena.take_matrix(tokens, 3 * hidden);
    return {columns(all, 0, hidden), columns(all, hidden, hidden),
            columns(all, 2 * hidden, hidden)};
  }
  const MatrixView<float> q = arena.take_matrix(pass.sequences(), hidden);
  const MatrixView<float> both = arena.take_matrix(tokens, 2 * hidden);
  return {q, columns(both, 0, hidden), columns(both, hidden, hidden)};
}

void EncoderLayer::take_kept(const EncoderPass& pass, bool first_rows_only, const Dropouts& drop,
                             Arena& arena) {
  const SequenceStarts row_starts = pass.row_starts(first_rows_only);
  const std::size_t rows = row_starts.back();
  const std::size_t hidden = settings_.hidden, inner = settings_.intermediate;
  kept_ = {};
  kept_.start = arena.mark();
  const bool keep = pass.training && plan_.any;
  if (keep || (pass.training && keep_output_))
    kept_.output_norm = NormTrace::take(arena, rows, hidden);
  if (!keep) return;
  if (plan_.attention) {
    kept_.projections = take_projections(pass, first_rows_only, arena);
    kept_.attention = attention_.take_trace(row_starts, pass.starts, drop.attention, arena);
  }
  if (attention_output().adapted()) kept_.context = arena.take_matrix(rows, hidden);
  if (plan_.attended || up().adapted()) {
    kept_.attention_norm = NormTrace::take(arena, rows, hidden);
    kept_.derivative = arena.take_matrix(rows, inner);
  }
  if (down().adapted()) kept_.activated = arena.take_matrix(rows, inner);
}

void EncoderLayer::project(MatrixView<const float> x, MatrixView<const float> x_query,
                           const Projections& projections, bool keep) {
  const std::array<HostLinear*, 3> linears = {&query(), &key(), &value()};
  const std::array<MatrixView<float>, 3> ys = {projections.q, projections.k, projections.v};
  if (x_query.data == x.data) return forward_together(linears, x, ys, keep);
  query().forward(x_query, projections.q, keep);
  forward_together(std::span(linears).last(2), x, std::span(ys).last(2), keep);
}

MatrixView<float> EncoderLayer::forward(MatrixView<float> x, const EncoderPass& pass,
                                        bool first_rows_only, Arena& arena) {
  const bool keep = pass.training && plan_.any;
  const SequenceStarts row_starts = pass.row_starts(first_rows_only);
  const std::size_t rows = row_starts.back();
  const Dropouts drop = dropouts(pass);
  take_kept(pass, first_rows_only, drop, arena);

  const ArenaScope temporaries(arena);
  const MatrixView<float> x_query = first_rows_only ? first_rows(x, pass.starts, arena) : x;
  const Projections projections =
      kept_.projections.q.data ? kept_.projections : take_projections(pass, first_rows_only, arena);
  project(x, x_query, projections, keep);
  // Rows of the context are read before the same rows of the output's norm are written.
  MatrixView<float> context = kept_.context.data ? kept_.context : kept_.output_norm.normalised;
  if (!context.data) context = arena.take_matrix(rows, x.columns);
  attention_.forward(projections.q, projections.k, projections.v, row_starts, pass.starts,
                     drop.attention, kept_.attention, context, arena);
  const MatrixView<float> y = range(x, 0, rows);
  forward_rows(context, x_query, drop, keep, y, arena);
  return y;
}

std::size_t EncoderLayer::block_rows(std::size_t rows) const {
  if (adapted(3) || adapted(4) || adapted(5)) return rows;
  const std::size_t fitting = std::max<std::size_t>(most_block_values / settings_.intermediate, 64);
  return std::min({rows, most_block_rows, fitting});
}

void EncoderLayer::forward_rows(MatrixView<const float> context, MatrixView<const float> residual,
                                const Dropouts& drop, bool keep, MatrixView<float> y,
                                Arena& arena) {
  const std::size_t hidden = settings_.hidden, inner_columns = settings_.intermediate;
  const std::size_t block = block_rows(y.rows);
  const auto scratch = [&](bool needed, std::size_t width) {
    return needed ? arena.take_matrix(block, width) : MatrixView<float>(nullptr, block, width);
  };
  const MatrixView<float> attended_rows = scratch(true, hidden);
  const MatrixView<float> dense_rows =
      scratch(!kept_.attention_norm.normalised.data || !kept_.output_norm.normalised.data, hidden);
  const MatrixView<float> inner_rows = scratch(!kept_.derivative.data, inner_columns);
  const MatrixView<float> activated_rows = scratch(!kept_.activated.data, inner_columns);

  for (std::size_t begin = 0; begin < y.rows; begin += block) {
    const std::size_t count = std::min(block, y.rows - begin);
    const auto kept_or = [&](MatrixView<float> kept, MatrixView<float> rows) {
      return kept.data ? range(kept, begin, count) : range(rows, 0, count);
    };
    // The dense outputs become the normalised sums in place.
    const NormTrace attention_trace = kept_.attention_norm.range(begin, count);
    const MatrixView<float> dense = kept_or(kept_.attention_norm.normalised, dense_rows);
    const float* bias =
        attention_output().forward_without_bias(range(context, begin, count), dense, keep);
    const MatrixView<float> attended = range(attended_rows, 0, count);
    add_and_normalise(attention_norm_, dense, bias, drop.attention_output.from_row(begin),
                      range(residual, begin, count), attention_trace, attended, arena);

    const MatrixView<float> inner = kept_or(kept_.derivative, inner_rows);
    bias = up().forward_without_bias(attended, inner, keep);
    const MatrixView<float> activated = kept_or(kept_.activated, activated_rows);
    activate(settings_.activation, inner, bias, activated, kept_.derivative.data != nullptr, arena);

    const NormTrace output_trace = kept_.output_norm.range(begin, count);
    const MatrixView<float> dense_output = kept_or(kept_.output_norm.normalised, dense_rows);
    bias = down().forward_without_bias(activated, dense_output, keep);
    add_and_normalise(output_norm_, dense_output, bias, drop.output.from_row(begin), attended,
                      output_trace, range(y, begin, count), arena);
  }
}

void EncoderLayer::backward_feed_forward(std::size_t begin, MatrixView<float> d_dense,
                                         MatrixView<float> d_inner, MatrixView<float> gradient,
                                         Arena& arena) {
  const std::size_t count = gradient.rows;
  const MatrixView<const float> activated =
      kept_.activated.data ? range(kept_.activated, begin, count)
                           : MatrixView<float>(nullptr, count, settings_.intermediate);
  down().backward(activated, d_dense, d_inner, Into::overwrite);
  if (!d_inner.data) return;
  multiply(range(kept_.derivative, begin, count), d_inner, arena.device());
  MatrixView<float> attended(nullptr, count, settings_.hidden);
  if (up().adapted()) {
    // d_dense has been used up.
    attended = d_dense;
    form_again(attention_norm_, kept_.attention_norm.range(begin, count), attended, arena.device());
  }
  // The gradient of the residual is there already.
  up().backward(attended, d_inner,
                plan_.attended ? gradient : MatrixView<float>(nullptr, count, settings_.hidden),
                Into::add);
}

MatrixView<float> EncoderLayer::backward_rows(const Dropouts& drop, MatrixView<float> gradient,
                                              Arena& arena) {
  const ArenaScope temporaries(arena);
  const std::size_t hidden = settings_.hidden, rows = gradient.rows, block = block_rows(rows);
  const bool through_up = plan_.attended || up().adapted();
  const MatrixView<float> d_dense_rows = arena.take_matrix(block, hidden);
  MatrixView<float> d_inner_rows(nullptr, block, settings_.intermediate);
  if (through_up) d_inner_rows = arena.take_matrix(block, settings_.intermediate);
  // Takes the place of what the attention's norm kept, row by row once that has been used up.
  MatrixView<float> d_context(nullptr, rows, hidden);
  if (plan_.attention) d_context = kept_.attention_norm.normalised;

  for (std::size_t begin = 0; begin < rows; begin += block) {
    const std::size_t count = std::min(block, rows - begin);
    const MatrixView<float> d_rows = range(gradient, begin, count);
    const MatrixView<float> d_dense = range(d_dense_rows, 0, count);
    add_and_normalise_backward(output_norm_, drop.output.from_row(begin), d_rows,
                               kept_.output_norm.range(begin, count), d_rows, d_dense, arena);
    if (through_up || down().adapted())
      backward_feed_forward(begin, d_dense, range(d_inner_rows, 0, count), d_rows, arena);
    if (!plan_.attended) continue;
    add_and_normalise_backward(attention_norm_, drop.attention_output.from_row(begin), d_rows,
                               kept_.attention_norm.range(begin, count), d_rows, d_dense, arena);
    const MatrixView<const float> context = kept_.context.data
                                                ? range(kept_.context, begin, count)
                                                : MatrixView<float>(nullptr, count, hidden);
    attention_output().backward(context, d_dense, range(d_context, begin, count), Into::overwrite);
  }
  return d_context;
}

void EncoderLayer::backward(const EncoderPass& pass, bool first_rows_only,
                            const InputOrigin& origin, MatrixView<float> gradient,
                            MatrixView<float> dx, Arena& arena) {
  if (!plan_.any) return;
  const Dropouts drop = dropouts(pass);
  const MatrixView<float> d_context = backward_rows(drop, gradient, arena);
  if (plan_.attention) {
    const Projections& p = kept_.projections;
    const Attention::Wanted wanted = {plan_.input || query().adapted(),
                                      plan_.input || key().adapted(),
                                      plan_.input || value().adapted()};
    attention_.backward(p.q, p.k, p.v, pass.row_starts(first_rows_only), pass.starts,
                        drop.attention, kept_.attention, d_context, wanted, arena);
    backward_projections(pass, first_rows_only, origin, gradient, dx, arena);
  }
  arena.release(kept_.start);
}

void EncoderLayer::backward_projections(const EncoderPass& pass, bool first_rows_only,
                                        const InputOrigin& origin, MatrixView<float> gradient,
                                        MatrixView<float> dx, Arena& arena) {
  const std::size_t hidden = settings_.hidden, tokens = pass.tokens(), rows = gradient.rows;
  MatrixView<float> x(nullptr, tokens, hidden), x_query(nullptr, rows, hidden);
  if (reads_input()) {
    // What the output's norm kept has been used up.
    x = first_rows_only ? arena.take_matrix(tokens, hidden) : kept_.output_norm.normalised;
    origin.form_input(pass, x, arena);
    if (query().adapted()) x_query = first_rows_only ? first_rows(x, pass.starts, arena) : x;
  }
  const auto gradient_of = [this](const HostLinear& linear, MatrixView<float> values) {
    return plan_.input || linear.adapted()
               ? values
               : MatrixView<float>(nullptr, values.rows, values.columns, values.stride);
  };
  const std::array<HostLinear*, 3> linears = {&query(), &key(), &value()};
  const std::array<MatrixView<const float>, 3> dys = {gradient_of(query(), kept_.projections.q),
                                                      gradient_of(key(), kept_.projections.k),
                                                      gradient_of(value(), kept_.projections.v)};
  if (!plan_.input) dx.data = nullptr;
  if (!first_rows_only) return backward_together(linears, x, dys, dx, Into::add);
  if (!plan_.input) gradient.data = nullptr;
  if (dys[0].data) query().backward(x_query, dys[0], gradient, Into::add);
  backward_together(std::span(linears).last(2), x, std::span(dys).last(2), dx, Into::overwrite);
  if (!plan_.input) return;
  for (std::size_t s = 0; s < rows; ++s) add_row(hidden, gradient.row(s), dx.row(pass.starts[s]));
}

void EncoderLayer::form_input(const EncoderPass&, MatrixView<float> x, Arena& arena) const {
  form_again(output_norm_, kept_.output_norm, x, arena.device());
}

}  // namespace rankfold
