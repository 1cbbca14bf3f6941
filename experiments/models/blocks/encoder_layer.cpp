#include "experiments/models/blocks/encoder_layer.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

/// f(x + bias) into `value`; x becomes f'(x + bias) where `keep`.
void activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
              MatrixView<float> value, bool keep, const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.activate(activation, x, bias, value, keep);
}

void multiply(MatrixView<const float> factors, MatrixView<float> x, const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.multiply_matrix(factors, x);
}

/// `count` rows from `first` on; of no memory where the matrix has none.
template <class T>
MatrixView<T> range(MatrixView<T> x, std::size_t first, std::size_t count) {
  return {x.data ? x.row(first) : nullptr, count, x.columns, x.stride};
}

}  // namespace

EncoderLayer::EncoderLayer(const EncoderSettings& settings, Parts parts,
                           std::shared_ptr<const Device> device)
    : settings_(settings),
      linears_(std::move(parts.linears)),
      attention_norm_(parts.attention_norm),
      output_norm_(parts.output_norm),
      relative_(std::move(parts.relative)),
      attention_(settings.heads, settings.hidden / settings.heads, std::move(device)) {
  if (linears_.size() != 6 && linears_.size() != 7)
    throw Error("an encoder layer: got {} linear layers, expected 6, or 7 with a fused projection",
                linears_.size());
  if (has_whole() && !relative_)
    throw Error("an encoder layer: a fused projection without relative positions");
}

std::vector<HostLinear*> EncoderLayer::linears() {
  std::vector<HostLinear*> all;
  for (HostLinear& linear : linears_) all.push_back(&linear);
  if (!relative_) return all;
  for (std::optional<HostLinear>* map : {&relative_->key_map, &relative_->query_map})
    if (*map) all.push_back(&**map);
  return all;
}

EncoderApplication::Reach EncoderLayer::reach(bool below) const {
  EncoderApplication::Reach reach;
  reach.input = below;
  reach.attention = below || reads_input() ||
                    (relative_ && (position_key().trains() || position_query().trains()));
  reach.attended =
      reach.attention || attention_output().trains() || attention_norm_.weight_gradient;
  reach.any = reach.attended || up().trains() || down().trains() || output_norm_.weight_gradient;
  return reach;
}

bool EncoderLayer::reads_input() const {
  return query().trains() || key().trains() || value().trains();
}

EncoderLayer::Dropouts EncoderLayer::dropouts(const EncoderPass& pass,
                                              const EncoderApplication& application) const {
  return {pass.dropout(settings_.attention_dropout, application.attention_place),
          pass.dropout(settings_.attention_output_dropout, application.attention_output_place),
          pass.dropout(settings_.output_dropout, application.output_place)};
}

void EncoderLayer::take_kept(const EncoderPass& pass, EncoderApplication& application,
                             const Dropouts& drop, Arena& arena) const {
  const SequenceStarts row_starts = pass.row_starts(application.first_rows_only);
  const std::size_t rows = row_starts.back();
  const std::size_t hidden = settings_.hidden, inner = settings_.intermediate;
  const EncoderApplication::Reach& reach = application.reach;
  EncoderApplication::Kept& kept = application.kept;
  kept = {};
  kept.start = arena.mark();
  const bool keep = pass.training && reach.any;
  if (keep || (pass.training && application.keeps_output))
    kept.output_norm = take_norm_trace(arena, rows, hidden);
  if (!keep) return;
  if (reach.attention) {
    kept.projections = take_projections(pass, application.first_rows_only, arena);
    kept.positions = take_positions(pass, arena);
    kept.attention = attention_.take_trace(row_starts, pass.starts, drop.attention, arena);
  }
  if (attention_output().trains()) kept.context = arena.take_matrix(rows, hidden);
  if (reach.attended || up().trains()) {
    kept.attention_norm = take_norm_trace(arena, rows, hidden);
    kept.derivative = arena.take_matrix(rows, inner);
  }
  if (down().trains()) kept.activated = arena.take_matrix(rows, inner);
}

MatrixView<float> EncoderLayer::forward(MatrixView<float> x, const EncoderPass& pass,
                                        EncoderApplication& application, Arena& arena) const {
  const bool keep = pass.training && application.reach.any;
  const bool first_rows_only = application.first_rows_only;
  const SequenceStarts row_starts = pass.row_starts(first_rows_only);
  const std::size_t rows = row_starts.back();
  const Dropouts drop = dropouts(pass, application);
  take_kept(pass, application, drop, arena);

  const ArenaScope temporaries(arena);
  const EncoderApplication::Kept& kept = application.kept;
  const MatrixView<float> x_query = first_rows_only ? first_rows(x, pass.starts, arena) : x;
  const bool reaches_attention = kept.projections.q.data;
  const Projections projections =
      reaches_attention ? kept.projections : take_projections(pass, first_rows_only, arena);
  EncoderApplication::Traces* const traces = keep ? &application.traces : nullptr;
  project(x, x_query, pass, projections, traces, arena.device());
  const PositionMaps positions = reaches_attention ? kept.positions : take_positions(pass, arena);
  map_positions(pass, application, positions, traces ? &traces->positions : nullptr, arena);
  // Rows of the context are read before the same rows of the output's norm are written.
  MatrixView<float> context = kept.context.data ? kept.context : kept.output_norm.normalised;
  if (!context.data) context = arena.take_matrix(rows, x.columns);
  attend(pass, application, projections, positions, drop.attention, context, arena.device());
  const MatrixView<float> y = range(x, 0, rows);
  forward_rows(context, x_query, drop, keep, application, y, arena);
  return y;
}

std::size_t EncoderLayer::block_rows(std::size_t rows, const Device& device) const {
  if (attention_output().trains() || up().trains() || down().trains()) return rows;
  return device.feed_forward_rows(rows, settings_.intermediate);
}

void EncoderLayer::forward_rows(MatrixView<const float> context, MatrixView<const float> residual,
                                const Dropouts& drop, bool keep, EncoderApplication& application,
                                MatrixView<float> y, Arena& arena) const {
  const EncoderApplication::Kept& kept = application.kept;
  EncoderApplication::Traces& traces = application.traces;
  const std::size_t hidden = settings_.hidden, inner_columns = settings_.intermediate;
  const std::size_t block = block_rows(y.rows, arena.device());
  const auto scratch = [&](bool needed, std::size_t width) {
    return needed ? arena.take_matrix(block, width) : MatrixView<float>(nullptr, block, width);
  };
  const MatrixView<float> attended_rows = scratch(true, hidden);
  const MatrixView<float> dense_rows =
      scratch(!kept.attention_norm.normalised.data || !kept.output_norm.normalised.data, hidden);
  const MatrixView<float> inner_rows = scratch(!kept.derivative.data, inner_columns);
  const MatrixView<float> activated_rows = scratch(!kept.activated.data, inner_columns);

  for (std::size_t begin = 0; begin < y.rows; begin += block) {
    const std::size_t count = std::min(block, y.rows - begin);
    const auto kept_or = [&](MatrixView<float> own, MatrixView<float> rows) {
      return own.data ? range(own, begin, count) : range(rows, 0, count);
    };
    // The dense outputs become the normalised sums in place.
    const NormTrace attention_trace = kept.attention_norm.range(begin, count);
    const MatrixView<float> dense = kept_or(kept.attention_norm.normalised, dense_rows);
    const float* bias = attention_output().forward_without_bias(
        range(context, begin, count), dense, keep ? &traces.attention_output : nullptr);
    const MatrixView<float> attended = range(attended_rows, 0, count);
    add_and_normalise(attention_norm_, dense, bias, drop.attention_output.from_row(begin),
                      range(residual, begin, count), attention_trace, attended, arena.device());

    const MatrixView<float> inner = kept_or(kept.derivative, inner_rows);
    bias = up().forward_without_bias(attended, inner, keep ? &traces.up : nullptr);
    const MatrixView<float> activated = kept_or(kept.activated, activated_rows);
    activate(settings_.activation, inner, bias, activated, kept.derivative.data != nullptr,
             arena.device());

    const NormTrace output_trace = kept.output_norm.range(begin, count);
    const MatrixView<float> dense_output = kept_or(kept.output_norm.normalised, dense_rows);
    bias = down().forward_without_bias(activated, dense_output, keep ? &traces.down : nullptr);
    add_and_normalise(output_norm_, dense_output, bias, drop.output.from_row(begin), attended,
                      output_trace, range(y, begin, count), arena.device());
  }
}

void EncoderLayer::backward_feed_forward(const EncoderApplication& application, std::size_t begin,
                                         MatrixView<float> d_dense, MatrixView<float> d_inner,
                                         MatrixView<float> gradient, Arena& arena) const {
  const EncoderApplication::Kept& kept = application.kept;
  const std::size_t count = gradient.rows;
  const MatrixView<const float> activated =
      kept.activated.data ? range(kept.activated, begin, count)
                          : MatrixView<float>(nullptr, count, settings_.intermediate);
  down().backward(activated, d_dense, application.traces.down, d_inner, Into::overwrite);
  if (!d_inner.data) return;
  multiply(range(kept.derivative, begin, count), d_inner, arena.device());
  MatrixView<float> attended(nullptr, count, settings_.hidden);
  if (up().trains()) {
    // d_dense has been used up.
    attended = d_dense;
    form_again(attention_norm_, kept.attention_norm.range(begin, count), attended, arena.device());
  }
  // The gradient of the residual is there already.
  up().backward(
      attended, d_inner, application.traces.up,
      application.reach.attended ? gradient : MatrixView<float>(nullptr, count, settings_.hidden),
      Into::add);
}

MatrixView<float> EncoderLayer::backward_rows(const EncoderApplication& application,
                                              const Dropouts& drop, MatrixView<float> gradient,
                                              Arena& arena) const {
  const EncoderApplication::Kept& kept = application.kept;
  const EncoderApplication::Reach& reach = application.reach;
  const ArenaScope temporaries(arena);
  const std::size_t hidden = settings_.hidden, rows = gradient.rows,
                    block = block_rows(rows, arena.device());
  const bool through_up = reach.attended || up().trains();
  const MatrixView<float> d_dense_rows = arena.take_matrix(block, hidden);
  MatrixView<float> d_inner_rows(nullptr, block, settings_.intermediate);
  if (through_up) d_inner_rows = arena.take_matrix(block, settings_.intermediate);
  // Takes the place of what the attention's norm kept, row by row once that has been used up.
  MatrixView<float> d_context(nullptr, rows, hidden);
  if (reach.attention) d_context = kept.attention_norm.normalised;

  for (std::size_t begin = 0; begin < rows; begin += block) {
    const std::size_t count = std::min(block, rows - begin);
    const MatrixView<float> d_rows = range(gradient, begin, count);
    const MatrixView<float> d_dense = range(d_dense_rows, 0, count);
    add_and_normalise_backward(output_norm_, drop.output.from_row(begin), d_rows,
                               kept.output_norm.range(begin, count), d_rows, d_dense,
                               arena.device());
    if (through_up || down().trains())
      backward_feed_forward(application, begin, d_dense, range(d_inner_rows, 0, count), d_rows,
                            arena);
    if (!reach.attended) continue;
    add_and_normalise_backward(attention_norm_, drop.attention_output.from_row(begin), d_rows,
                               kept.attention_norm.range(begin, count), d_rows, d_dense,
                               arena.device());
    const MatrixView<const float> context = kept.context.data
                                                ? range(kept.context, begin, count)
                                                : MatrixView<float>(nullptr, count, hidden);
    attention_output().backward(context, d_dense, application.traces.attention_output,
                                range(d_context, begin, count), Into::overwrite);
  }
  return d_context;
}

MatrixView<float> EncoderLayer::backward_attention(const EncoderPass& pass,
                                                   EncoderApplication& application,
                                                   MatrixView<float> gradient, Arena& arena) const {
  const EncoderApplication::Reach& reach = application.reach;
  const EncoderApplication::Kept& kept = application.kept;
  if (!reach.any) return {};
  const Dropouts drop = dropouts(pass, application);
  const MatrixView<float> d_context = backward_rows(application, drop, gradient, arena);
  if (!reach.attention) return {};
  attend_backward(pass, application, drop.attention, d_context, arena);
  if (!reads_input()) return {};
  // What the output's norm kept has been used up.
  return application.first_rows_only ? arena.take_matrix(pass.tokens(), settings_.hidden)
                                     : kept.output_norm.normalised;
}

void EncoderLayer::backward_projections(const EncoderPass& pass, EncoderApplication& application,
                                        MatrixView<const float> x, MatrixView<float> gradient,
                                        MatrixView<float> dx, Arena& arena) const {
  const EncoderApplication::Reach& reach = application.reach;
  if (!reach.any) return;
  if (reach.attention) propagate(pass, application, x, gradient, dx, arena);
  arena.release(application.kept.start);
}

void EncoderLayer::form_output(const EncoderApplication& application, MatrixView<float> y,
                               const Device& device) const {
  form_again(output_norm_, application.kept.output_norm, y, device);
}

}  // namespace rankfold
