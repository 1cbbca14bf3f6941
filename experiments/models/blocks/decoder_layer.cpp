#include "experiments/models/blocks/decoder_layer.h"

#include <array>
#include <utility>

#include "core/base/error.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

MatrixView<float> column_range(MatrixView<float> x, std::size_t first, std::size_t count) {
  return {x.data + first, x.rows, count, x.stride};
}

template <class T>
MatrixView<T> row_range(MatrixView<T> x, std::size_t first, std::size_t count) {
  return {x.row(first), count, x.columns, x.stride};
}

MatrixView<float> gathered(MatrixView<const float> x, std::span<const std::size_t> rows,
                           Arena& arena) {
  const MatrixView<float> result = arena.take_matrix(rows.size(), x.columns);
  arena.device().gather_rows(x, rows, result);
  return result;
}

MatrixView<float> without_memory(MatrixView<float> x) {
  return {nullptr, x.rows, x.columns, x.stride};
}

/// The gradient of dropout's input: `gradient` itself where nothing was dropped.
MatrixView<const float> kept_only(const Dropout& dropout, MatrixView<const float> gradient,
                                  Arena& arena) {
  if (!dropout.active()) return gradient;
  const WorkTimer timer(arena.device(), Work::elementwise);
  const MatrixView<float> result = arena.take_matrix(gradient.rows, gradient.columns);
  arena.device().copy_matrix(gradient, result);
  arena.device().apply_dropout(dropout, result);
  return result;
}

void turn_heads(const DecoderPass& pass, std::span<const std::size_t> positions, bool back,
                MatrixView<float> x, const Device& device) {
  if (!pass.turn.cosines) return;
  const WorkTimer timer(device, Work::elementwise);
  device.turn(pass.turn, positions, back, x);
}

}  // namespace

DecoderLayer::DecoderLayer(std::size_t index, const DecoderSettings& settings, Parts parts,
                           std::shared_ptr<const Device> device)
    : index_(index),
      settings_(settings),
      linears_(std::move(parts.linears)),
      feed_forward_(settings.activation, std::move(parts.feed_forward)),
      attention_norm_(std::move(parts.attention_norm)),
      feed_forward_norm_(std::move(parts.feed_forward_norm)),
      query_norm_(std::move(parts.query_norm)),
      key_norm_(std::move(parts.key_norm)),
      attention_(AttentionShape{settings.heads,
                                settings.head_dim,
                                {},
                                {},
                                settings.key_value_heads,
                                true,
                                settings.window},
                 std::move(device)) {
  if (linears_.size() != 4 && linears_.size() != 5)
    throw Error("a decoder layer: got {} linear layers, expected 4, or 5 with a fused projection",
                linears_.size());
  if (linears_.size() == 5 && has_head_norms())
    throw Error("a decoder layer: a fused projection with norms of heads");
}

std::vector<HostLinear*> DecoderLayer::linears() {
  std::vector<HostLinear*> all;
  for (HostLinear& linear : linears_) all.push_back(&linear);
  for (HostLinear& linear : feed_forward_.linears()) all.push_back(&linear);
  return all;
}

std::vector<const HostLinear*> DecoderLayer::linears() const {
  std::vector<const HostLinear*> all;
  for (const HostLinear& linear : linears_) all.push_back(&linear);
  for (const HostLinear& linear : feed_forward_.linears()) all.push_back(&linear);
  return all;
}

std::vector<LayerNorm*> DecoderLayer::norms() {
  std::vector<LayerNorm*> all = {&attention_norm_, &feed_forward_norm_};
  if (has_head_norms()) all.insert(all.end(), {&query_norm_, &key_norm_});
  return all;
}

DecoderApplication::Reach DecoderLayer::reach(bool below) const {
  DecoderApplication::Reach reach;
  reach.input = below;
  reach.attention = below || reads_input() || attention_norm_.weight_gradient ||
                    query_norm_.weight_gradient || key_norm_.weight_gradient;
  reach.attended = reach.attention || attention_output().trains();
  reach.any = reach.attended || feed_forward_norm_.weight_gradient || feed_forward_.trains();
  return reach;
}

DecoderLayer::Projections DecoderLayer::take_projections(const DecoderPass& pass,
                                                         bool last_rows_only, Arena& arena) const {
  const std::size_t tokens = pass.tokens(), q = query_width(), k = key_width();
  if (!last_rows_only || fused()) {
    const MatrixView<float> all = arena.take_matrix(tokens, q + 2 * k);
    return {last_rows_only ? arena.take_matrix(pass.sequences(), q) : column_range(all, 0, q),
            column_range(all, q, k), column_range(all, q + k, k), all};
  }
  const MatrixView<float> queries = arena.take_matrix(pass.sequences(), q);
  const MatrixView<float> both = arena.take_matrix(tokens, 2 * k);
  return {queries, column_range(both, 0, k), column_range(both, k, k), {}};
}

void DecoderLayer::take_kept(const DecoderPass& pass, DecoderApplication& application,
                             MatrixView<float> x, const Dropout& attention_dropout,
                             Arena& arena) const {
  const DecoderApplication::Reach& reach = application.reach;
  DecoderApplication::Kept& kept = application.kept;
  kept = {};
  kept.start = arena.mark();
  if (!pass.training || !reach.any) return;
  const SequenceStarts row_starts = pass.row_starts(application.last_rows_only);
  const std::size_t rows = row_starts.back();
  kept.x = x;
  kept.y = arena.take_matrix(rows, hidden());
  kept.attended = arena.take_matrix(rows, hidden());
  if (reach.attention) {
    kept.projections = take_projections(pass, application.last_rows_only, arena);
    kept.attention =
        attention_.take_trace(row_starts, pass.starts, attention_dropout, arena, pass.prefixes);
    if (has_head_norms()) {
      kept.q = arena.take_matrix(rows, query_width());
      kept.k = arena.take_matrix(pass.tokens(), key_width());
    }
  }
  if (attention_output().trains()) kept.context = arena.take_matrix(rows, query_width());
  kept.feed_forward = feed_forward_.take_kept(rows, arena);
}

void DecoderLayer::project(MatrixView<const float> normed, const DecoderPass& pass,
                           DecoderApplication& application, const Projections& projections,
                           bool keep, Arena& arena) const {
  const ArenaScope temporaries(arena);
  const DecoderApplication::Kept& kept = application.kept;
  DecoderApplication::Traces* traces = keep ? &application.traces : nullptr;
  MatrixView<float> q = projections.q, k = projections.k;
  if (has_head_norms()) {
    q = kept.q.data ? kept.q : arena.take_matrix(q.rows, q.columns);
    k = kept.k.data ? kept.k : arena.take_matrix(k.rows, k.columns);
  }
  const std::array<const HostLinear*, 3> linears = {&query(), &key(), &value()};
  const std::array<MatrixView<float>, 3> ys = {q, k, projections.v};
  Trace<float>* trace = traces ? &traces->projections : nullptr;
  if (fused()) {
    query().forward(normed, projections.fused, trace);
    if (application.last_rows_only)
      arena.device().gather_rows(column_range(projections.fused, 0, q.columns), pass.lasts, q);
  } else if (application.last_rows_only) {
    query().forward(gathered(normed, pass.lasts, arena), q, traces ? &traces->query : nullptr);
    forward_together(std::span(linears).last(2), normed, std::span(ys).last(2), trace);
  } else {
    forward_together(linears, normed, ys, trace);
  }
  if (has_head_norms()) {
    normalise(query_norm_, q, projections.q, arena.device());
    normalise(key_norm_, k, projections.k, arena.device());
  }
  turn_heads(pass, pass.row_positions(application.last_rows_only), false, projections.q,
             arena.device());
  turn_heads(pass, pass.positions, false, projections.k, arena.device());
}

void DecoderLayer::attend(const Projections& projections, const DecoderPass& pass,
                          const DecoderApplication& application, const Dropout& dropout,
                          MatrixView<float> context) const {
  MatrixView<const float> k = projections.k, v = projections.v;
  if (pass.cache) {
    const MatrixView<float> keys = pass.cache->keys(index_), values = pass.cache->values(index_);
    for (std::size_t s = 0; s < pass.sequences(); ++s) {
      const std::size_t to = pass.cache->start(pass.cached[s]) + pass.cache->tokens(pass.cached[s]),
                        from = pass.starts[s], count = pass.starts[s + 1] - from;
      pass.cache->device().copy_matrix(row_range(k, from, count), row_range(keys, to, count));
      pass.cache->device().copy_matrix(row_range(v, from, count), row_range(values, to, count));
    }
    k = keys;
    v = values;
  }
  attention_.forward(projections.q, k, v, pass.query_starts(application.last_rows_only),
                     pass.key_starts, dropout, application.kept.attention, context, pass.prefixes);
}

MatrixView<float> DecoderLayer::forward(MatrixView<float> x, const DecoderPass& pass,
                                        DecoderApplication& application, Arena& arena) const {
  const Device& device = arena.device();
  const bool keep = pass.training && application.reach.any;
  const bool last_rows_only = application.last_rows_only;
  const std::size_t rows = pass.row_starts(last_rows_only).back();
  const Dropout attention_dropout =
      pass.dropout(settings_.attention_dropout, application.attention_place);
  take_kept(pass, application, x, attention_dropout, arena);
  const DecoderApplication::Kept& kept = application.kept;

  const ArenaScope temporaries(arena);
  const MatrixView<float> normed = arena.take_matrix(x.rows, x.columns);
  normalise(attention_norm_, x, normed, device);
  const Projections projections =
      kept.projections.q.data ? kept.projections : take_projections(pass, last_rows_only, arena);
  project(normed, pass, application, projections, keep, arena);
  const MatrixView<float> context =
      kept.context.data ? kept.context : arena.take_matrix(rows, query_width());
  attend(projections, pass, application, attention_dropout, context);

  const MatrixView<float> residual = last_rows_only ? gathered(x, pass.lasts, arena) : x;
  const MatrixView<float> attended = kept.attended.data ? kept.attended : residual;
  const MatrixView<float> y =
      kept.y.data ? kept.y : MatrixView<float>(x.data, rows, x.columns, x.stride);
  // The first norm has been read.
  const MatrixView<float> dense(normed.data, rows, normed.columns),
      inner = arena.take_matrix(rows, x.columns);
  DecoderApplication::Traces& traces = application.traces;
  const float* bias = attention_output().forward_without_bias(
      context, dense, keep ? &traces.attention_output : nullptr);
  add_residual_and_normalise(
      feed_forward_norm_, dense, bias,
      pass.dropout(settings_.hidden_dropout, application.attention_output_place), residual,
      attended, inner, device);
  bias = feed_forward_.forward(inner, kept.feed_forward, keep ? &traces.feed_forward : nullptr,
                               dense, arena);
  add_residual(dense, bias, pass.dropout(settings_.hidden_dropout, application.output_place),
               attended, y, device);
  return y;
}

void DecoderLayer::backward(const DecoderPass& pass, DecoderApplication& application,
                            MatrixView<float> gradient, MatrixView<float> dx, Arena& arena) const {
  const DecoderApplication::Reach& reach = application.reach;
  if (!reach.any) return;
  backward_feed_forward(pass, application, gradient, arena);
  if (reach.attended) backward_attention(pass, application, gradient, arena);
  if (reach.attention) backward_projections(pass, application, gradient, dx, arena);
  arena.release(application.kept.start);
}

void DecoderLayer::backward_feed_forward(const DecoderPass& pass,
                                         const DecoderApplication& application,
                                         MatrixView<float> gradient, Arena& arena) const {
  const bool attended = application.reach.attended;
  const bool through = attended || feed_forward_norm_.weight_gradient;
  if (!through && !feed_forward_.trains()) return;
  const ArenaScope temporaries(arena);
  const Device& device = arena.device();
  const DecoderApplication::Kept& kept = application.kept;
  const MatrixView<const float> dz =
      kept_only(pass.dropout(settings_.hidden_dropout, application.output_place), gradient, arena);
  MatrixView<float> inner = without_memory(gradient), d_inner = inner;
  if (feed_forward_.reads_input()) {
    inner = arena.take_matrix(gradient.rows, gradient.columns);
    normalise(feed_forward_norm_, kept.attended, inner, device);
  }
  if (through) d_inner = arena.take_matrix(gradient.rows, gradient.columns);
  feed_forward_.backward(inner, dz, kept.feed_forward, application.traces.feed_forward, d_inner,
                         arena);
  if (through)
    normalise_backward(feed_forward_norm_, d_inner, kept.attended, true,
                       attended ? gradient : without_memory(gradient), device);
}

/// Leaves the gradients of the turned q, k and v in their places.
void DecoderLayer::backward_attention(const DecoderPass& pass,
                                      const DecoderApplication& application,
                                      MatrixView<const float> gradient, Arena& arena) const {
  const ArenaScope temporaries(arena);
  const DecoderApplication::Kept& kept = application.kept;
  const DecoderApplication::Reach& reach = application.reach;
  const MatrixView<const float> dz = kept_only(
      pass.dropout(settings_.hidden_dropout, application.attention_output_place), gradient, arena);
  MatrixView<float> d_context(nullptr, gradient.rows, query_width());
  if (reach.attention) d_context = arena.take_matrix(gradient.rows, query_width());
  const MatrixView<const float> context =
      kept.context.data ? kept.context : without_memory(d_context);
  attention_output().backward(context, dz, application.traces.attention_output, d_context,
                              Into::overwrite);
  if (!reach.attention) return;
  const bool all = reach.input || attention_norm_.weight_gradient;
  const AttentionGradients wanted = {all || query().trains() || query_norm_.weight_gradient,
                                     all || key().trains() || key_norm_.weight_gradient,
                                     all || value().trains()};
  const Projections& p = kept.projections;
  attention_.backward(p.q, p.k, p.v, pass.row_starts(application.last_rows_only), pass.key_starts,
                      pass.dropout(settings_.attention_dropout, application.attention_place),
                      kept.attention, d_context, wanted, pass.prefixes);
  const Device& device = arena.device();
  if (wanted.q) turn_heads(pass, pass.row_positions(application.last_rows_only), true, p.q, device);
  if (wanted.k) turn_heads(pass, pass.positions, true, p.k, device);
  if (!has_head_norms()) return;
  if (wanted.q) normalise_backward(query_norm_, p.q, kept.q, false, p.q, device);
  if (wanted.k) normalise_backward(key_norm_, p.k, kept.k, false, p.k, device);
}

/// Overwrites d_normed, where it has memory, through the one linear of q, k and v.
void DecoderLayer::backward_fused(const DecoderPass& pass, const DecoderApplication& application,
                                  MatrixView<const float> normed, MatrixView<float> d_normed,
                                  const Device& device) const {
  const Projections& p = application.kept.projections;
  if (application.last_rows_only) {
    // Only the last rows have queries.
    const MatrixView<float> queries = column_range(p.fused, 0, p.q.columns);
    device.fill_rows(static_cast<const float*>(nullptr), queries);
    device.add_to_rows(p.q, pass.lasts, queries);
  }
  query().backward(normed, p.fused, application.traces.projections, d_normed, Into::overwrite);
}

void DecoderLayer::backward_projections(const DecoderPass& pass,
                                        const DecoderApplication& application,
                                        MatrixView<float> gradient, MatrixView<float> dx,
                                        Arena& arena) const {
  const ArenaScope temporaries(arena);
  const Device& device = arena.device();
  const DecoderApplication::Kept& kept = application.kept;
  const DecoderApplication::Traces& traces = application.traces;
  const bool input = application.reach.input, last_rows_only = application.last_rows_only;
  const bool through = input || attention_norm_.weight_gradient;
  MatrixView<float> normed(nullptr, pass.tokens(), hidden()), d_normed = normed;
  if (reads_input()) {
    normed = arena.take_matrix(pass.tokens(), hidden());
    normalise(attention_norm_, kept.x, normed, device);
  }
  if (through) d_normed = arena.take_matrix(pass.tokens(), hidden());
  const auto gradient_of = [&](const HostLinear& linear, MatrixView<float> values) {
    return through || linear.trains() ? values : without_memory(values);
  };
  const Projections& p = kept.projections;
  const std::array<const HostLinear*, 3> linears = {&query(), &key(), &value()};
  const std::array<MatrixView<const float>, 3> dys = {
      gradient_of(query(), p.q), gradient_of(key(), p.k), gradient_of(value(), p.v)};
  if (fused()) {
    backward_fused(pass, application, normed, d_normed, device);
  } else if (!last_rows_only) {
    backward_together(linears, normed, dys, traces.projections, d_normed, Into::overwrite);
  } else {
    backward_together(std::span(linears).last(2), normed, std::span(dys).last(2),
                      traces.projections, d_normed, Into::overwrite);
    MatrixView<float> queried(nullptr, pass.sequences(), hidden()), d_queried = queried;
    if (query().trains()) queried = gathered(normed, pass.lasts, arena);
    if (through) d_queried = arena.take_matrix(pass.sequences(), hidden());
    if (dys[0].data) query().backward(queried, dys[0], traces.query, d_queried, Into::overwrite);
    if (through) device.add_to_rows(d_queried, pass.lasts, d_normed);
  }
  if (!through) return;
  // What goes around the attention is in `gradient`: the same rows, or the last ones.
  normalise_backward(attention_norm_, d_normed, kept.x, !last_rows_only,
                     input ? dx : without_memory(dx), device);
  if (input && last_rows_only) device.add_to_rows(gradient, pass.lasts, dx);
}

}  // namespace rankfold
