#include <array>
#include <span>

#include "core/device/work.h"
#include "experiments/models/blocks/encoder_layer.h"

// The attention of an encoder layer: q, k and v apart or as one site, plain or with relative
// positions.

namespace rankfold {
namespace {

MatrixView<float> columns(MatrixView<float> x, std::size_t first, std::size_t count) {
  return {x.data + first, x.rows, count, x.stride};
}

/// Columns first .. first + count - 1 of each head, of a fused projection of `heads` heads: one row
/// a head and row.
MatrixView<float> of_each_head(MatrixView<float> fused, std::size_t heads, std::size_t first,
                               std::size_t count) {
  return {fused.data + first, fused.rows * heads, count, fused.columns / heads};
}

}  // namespace

MatrixView<float> EncoderLayer::first_rows(MatrixView<const float> x, SequenceStarts starts,
                                           Arena& arena) {
  const MatrixView<float> rows = arena.take_matrix(starts.size() - 1, x.columns);
  arena.device().gather_rows(x, starts.first(rows.rows), rows);
  return rows;
}

EncoderLayer::Projections EncoderLayer::take_projections(const EncoderPass& pass,
                                                         bool first_rows_only, Arena& arena) const {
  const std::size_t hidden = settings_.hidden, tokens = pass.tokens(), d = head_dim();
  if (fused()) {
    const MatrixView<float> all = arena.take_matrix(tokens, 3 * hidden);
    const MatrixView<float> q =
        first_rows_only ? arena.take_matrix(pass.sequences(), 3 * hidden) : all;
    const std::size_t width = 3 * hidden - 2 * d;
    return {columns(q, 0, width), columns(all, d, width), columns(all, 2 * d, width), all};
  }
  if (!first_rows_only) {
    const MatrixView<float> all = arena.take_matrix(tokens, 3 * hidden);
    return {columns(all, 0, hidden),
            columns(all, hidden, hidden),
            columns(all, 2 * hidden, hidden),
            {}};
  }
  const MatrixView<float> q = arena.take_matrix(pass.sequences(), hidden);
  const MatrixView<float> both = arena.take_matrix(tokens, 2 * hidden);
  return {q, columns(both, 0, hidden), columns(both, hidden, hidden), {}};
}

void EncoderLayer::project(MatrixView<const float> x, MatrixView<const float> x_query,
                           const EncoderPass& pass, const Projections& projections,
                           EncoderApplication::Traces* traces, const Device& device) const {
  Trace<float>* trace = traces ? &traces->projections : nullptr;
  if (fused()) {
    query().forward(x, projections.fused, trace);
    const MatrixView<float>& q = projections.q;
    if (x_query.data != x.data)
      device.gather_rows(projections.fused, pass.starts.first(q.rows), {q.data, q.rows, q.stride});
    return;
  }
  const std::array<const HostLinear*, 3> linears = {&query(), &key(), &value()};
  const std::array<MatrixView<float>, 3> ys = {projections.q, projections.k, projections.v};
  if (x_query.data == x.data) return forward_together(linears, x, ys, trace);
  query().forward(x_query, projections.q, traces ? &traces->query : nullptr);
  forward_together(std::span(linears).last(2), x, std::span(ys).last(2), trace);
}

EncoderLayer::PositionMaps EncoderLayer::take_positions(const EncoderPass& pass,
                                                        Arena& arena) const {
  PositionMaps maps;
  const auto take = [&](bool needed) {
    return needed ? arena.take_matrix(pass.relative.embedding.rows, settings_.hidden)
                  : MatrixView<float>();
  };
  if (!relative_) return maps;
  return {take(relative_->keys), take(relative_->queries)};
}

MatrixView<const float> EncoderLayer::relative_embedding(const EncoderPass& pass,
                                                         const EncoderApplication& application,
                                                         Arena& arena) const {
  const MatrixView<float>& embedding = pass.relative.embedding;
  const Dropout drop = pass.dropout(relative_->dropout, application.relative_place);
  if (!drop.active()) return embedding;
  const MatrixView<float> dropped = arena.take_matrix(embedding.rows, embedding.columns);
  arena.device().copy_matrix(embedding, dropped);
  apply_dropout(drop, dropped, arena.device());
  return dropped;
}

void EncoderLayer::map_positions(const EncoderPass& pass, const EncoderApplication& application,
                                 const PositionMaps& maps, Trace<float>* trace,
                                 Arena& arena) const {
  if (!maps.keys.data && !maps.queries.data) return;
  const ArenaScope scope(arena);
  const MatrixView<const float> embedding = relative_embedding(pass, application, arena);
  std::array<const HostLinear*, 2> linears = {};
  std::array<MatrixView<float>, 2> mapped;
  std::size_t count = 0;
  const auto map = [&](const HostLinear& by, MatrixView<float> to) {
    if (!to.data) return;
    linears[count] = &by;
    mapped[count++] = to;
  };
  map(position_key(), maps.keys);
  map(position_query(), maps.queries);
  forward_together(std::span(linears).first(count), embedding, std::span(mapped).first(count),
                   trace);
}

void EncoderLayer::backward_positions(const EncoderPass& pass,
                                      const EncoderApplication& application,
                                      const PositionMaps& gradients, Arena& arena) const {
  if (!gradients.keys.data && !gradients.queries.data) return;
  const ArenaScope scope(arena);
  const MatrixView<const float> embedding = relative_embedding(pass, application, arena);
  MatrixView<float> d_embedding(nullptr, embedding.rows, embedding.columns);
  if (pass.relative.gradient.data)
    d_embedding = arena.take_matrix(embedding.rows, embedding.columns);
  std::array<const HostLinear*, 2> linears = {};
  std::array<MatrixView<const float>, 2> d_mapped;
  std::size_t count = 0;
  const auto map = [&](const HostLinear& by, MatrixView<float> dy) {
    if (!dy.data) return;
    linears[count] = &by;
    d_mapped[count++] = dy;
  };
  map(position_key(), gradients.keys);
  map(position_query(), gradients.queries);
  backward_together(std::span(linears).first(count), embedding, std::span(d_mapped).first(count),
                    application.traces.positions, d_embedding, Into::overwrite);
  if (!d_embedding.data) return;
  apply_dropout(pass.dropout(relative_->dropout, application.relative_place), d_embedding,
                arena.device());
  arena.device().add_matrix(d_embedding, pass.relative.gradient);
}

RelativeScores EncoderLayer::relative_scores(const EncoderPass& pass,
                                             const PositionMaps& maps) const {
  return {relative_->scale, fused() ? 3 * head_dim() : head_dim(), pass.relative.rows, maps.keys,
          maps.queries};
}

void EncoderLayer::attend(const EncoderPass& pass, const EncoderApplication& application,
                          const Projections& projections, const PositionMaps& maps,
                          const Dropout& dropout, MatrixView<float> context,
                          const Device& device) const {
  const SequenceStarts row_starts = pass.row_starts(application.first_rows_only);
  const auto& [q, k, v, all] = projections;
  const AttentionTrace& trace = application.kept.attention;
  if (!relative_)
    return attention_.forward(q, k, v, row_starts, pass.starts, dropout, trace, context);
  const WorkTimer timer(device, Work::attention);
  device.attend_relative({settings_.heads, head_dim(), row_starts, pass.starts},
                         relative_scores(pass, maps), q, k, v, dropout, trace, context);
}

void EncoderLayer::attend_backward(const EncoderPass& pass, const EncoderApplication& application,
                                   const Dropout& dropout, MatrixView<const float> d_context,
                                   Arena& arena) const {
  const SequenceStarts row_starts = pass.row_starts(application.first_rows_only);
  const auto& [q, k, v, all] = application.kept.projections;
  const AttentionTrace& trace = application.kept.attention;
  const bool input = application.reach.input;
  const AttentionGradients wanted = {input || query().trains(), input || key().trains(),
                                     input || value().trains()};
  if (!relative_)
    return attention_.backward(q, k, v, row_starts, pass.starts, dropout, trace, d_context, wanted);
  const ArenaScope scope(arena);
  const PositionMaps& maps = application.kept.positions;
  const auto gradient_of = [&](const HostLinear& by, MatrixView<float> map) {
    const bool reached = pass.relative.gradient.data || by.trains();
    return map.data && reached ? arena.take_matrix(map.rows, map.columns) : MatrixView<float>();
  };
  const PositionMaps gradients = {gradient_of(position_key(), maps.keys),
                                  gradient_of(position_query(), maps.queries)};
  {
    const WorkTimer timer(arena.device(), Work::attention);
    arena.device().attend_relative_backward({settings_.heads, head_dim(), row_starts, pass.starts},
                                            relative_scores(pass, maps), q, k, v, dropout, trace,
                                            d_context, wanted, gradients.keys, gradients.queries);
  }
  backward_positions(pass, application, gradients, arena);
}

void EncoderLayer::propagate(const EncoderPass& pass, const EncoderApplication& application,
                             MatrixView<const float> x, MatrixView<float> gradient,
                             MatrixView<float> dx, Arena& arena) const {
  const bool first_rows_only = application.first_rows_only, input = application.reach.input;
  const Projections& projections = application.kept.projections;
  const EncoderApplication::Traces& traces = application.traces;
  const std::size_t hidden = settings_.hidden, rows = gradient.rows;
  MatrixView<const float> x_query(nullptr, rows, hidden);
  if (!x.data) x = MatrixView<const float>(nullptr, pass.tokens(), hidden);
  if (!input) dx.data = nullptr;
  if (fused()) return propagate_fused(pass, application, x, gradient, dx, arena.device());
  if (query().trains()) x_query = first_rows_only ? first_rows(x, pass.starts, arena) : x;
  const auto gradient_of = [&](const HostLinear& linear, MatrixView<float> values) {
    return input || linear.trains()
               ? values
               : MatrixView<float>(nullptr, values.rows, values.columns, values.stride);
  };
  const std::array<const HostLinear*, 3> linears = {&query(), &key(), &value()};
  const std::array<MatrixView<const float>, 3> dys = {gradient_of(query(), projections.q),
                                                      gradient_of(key(), projections.k),
                                                      gradient_of(value(), projections.v)};
  if (!first_rows_only)
    return backward_together(linears, x, dys, traces.projections, dx, Into::add);
  if (!input) gradient.data = nullptr;
  if (dys[0].data) query().backward(x_query, dys[0], traces.query, gradient, Into::add);
  backward_together(std::span(linears).last(2), x, std::span(dys).last(2), traces.projections, dx,
                    Into::overwrite);
  if (!input) return;
  arena.device().add_to_rows(gradient, pass.starts.first(rows), dx);
}

void EncoderLayer::propagate_fused(const EncoderPass& pass, const EncoderApplication& application,
                                   MatrixView<const float> x, MatrixView<float> gradient,
                                   MatrixView<float> dx, const Device& device) const {
  const auto& [q, k, v, all] = application.kept.projections;
  const Trace<float>& trace = application.traces.projections;
  if (!application.first_rows_only) return query().backward(x, all, trace, dx, Into::add);
  // Only the first rows have queries; their copies hold keys and values that nobody read.
  const std::size_t heads = settings_.heads, d = head_dim();
  const MatrixView<float> first(q.data, q.rows, q.stride);
  device.fill_rows(static_cast<const float*>(nullptr), of_each_head(all, heads, 0, d));
  device.fill_rows(static_cast<const float*>(nullptr), of_each_head(first, heads, d, 2 * d));
  device.add_to_rows(first, pass.starts.first(q.rows), all);
  query().backward(x, all, trace, dx, Into::overwrite);
  if (dx.data) device.add_to_rows(gradient, pass.starts.first(q.rows), dx);
}

}  // namespace rankfold
