#pragma once

#include "core/device/bfloat16_weight.h"
#include "core/device/dropout.h"
#include "core/device/layer_operations.h"

namespace rankfold {

/// The layers of networks of a device that hands every operation on (see ForwardingBase).
template <class Base>
class ForwardingLayers : public Base {
 public:
  void gather_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                   MatrixView<float> to) const override {
    inner().gather_rows(at(from), rows, at(to));
  }
  void add_to_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                   MatrixView<float> to) const override {
    inner().add_to_rows(at(from), rows, at(to));
  }
  void add_column_sums(MatrixView<const float> x, float* sums) const override {
    inner().add_column_sums(at(x), at(sums));
  }
  void multiply_matrix(MatrixView<const float> factors, MatrixView<float> x) const override {
    inner().multiply_matrix(at(factors), at(x));
  }
  void apply_dropout(const Dropout& dropout, MatrixView<float> x) const override {
    inner().apply_dropout(dropout, at(x));
  }
  void tanh(MatrixView<float> x) const override { inner().tanh(at(x)); }
  void tanh_backward(MatrixView<const float> y, MatrixView<float> d) const override {
    inner().tanh_backward(at(y), at(d));
  }
  void gated(HiddenActivation activation, MatrixView<const float> gate, MatrixView<const float> up,
             MatrixView<float> out) const override {
    inner().gated(activation, at(gate), at(up), at(out));
  }
  void gated_backward(HiddenActivation activation, MatrixView<const float> d,
                      MatrixView<float> gate, MatrixView<float> up) const override {
    inner().gated_backward(activation, at(d), at(gate), at(up));
  }
  void activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
                MatrixView<float> value, bool keep) const override {
    inner().activate(activation, at(x), at(bias), at(value), keep);
  }
  void add_and_normalise(const NormWeights& norm, MatrixView<const float> z, const float* bias,
                         const Dropout& dropout, MatrixView<const float> residual,
                         const NormTrace& trace, MatrixView<float> out) const override {
    inner().add_and_normalise(at(norm), at(z), at(bias), dropout, at(residual), at(trace), at(out));
  }
  void scale_and_shift(const NormWeights& norm, MatrixView<const float> normalised,
                       MatrixView<float> out) const override {
    inner().scale_and_shift(at(norm), at(normalised), at(out));
  }
  void add_and_normalise_backward(const NormWeights& norm, const Dropout& dropout,
                                  MatrixView<const float> d_out, const NormTrace& trace,
                                  MatrixView<float> d_residual,
                                  MatrixView<float> dz) const override {
    inner().add_and_normalise_backward(at(norm), dropout, at(d_out), at(trace), at(d_residual),
                                       at(dz));
  }
  void add_norm_gradients(MatrixView<const float> d_out, MatrixView<const float> normalised,
                          float* weight_gradient, float* shift_gradient) const override {
    inner().add_norm_gradients(at(d_out), at(normalised), at(weight_gradient), at(shift_gradient));
  }
  void add_residual_and_normalise(const NormWeights& norm, MatrixView<const float> z,
                                  const float* bias, const Dropout& dropout,
                                  MatrixView<const float> residual, MatrixView<float> sum,
                                  MatrixView<float> out) const override {
    inner().add_residual_and_normalise(at(norm), at(z), at(bias), dropout, at(residual), at(sum),
                                       at(out));
  }
  void normalise(const NormWeights& norm, MatrixView<const float> x,
                 MatrixView<float> out) const override {
    inner().normalise(at(norm), at(x), at(out));
  }
  void normalise_backward(const NormWeights& norm, MatrixView<const float> d_out,
                          MatrixView<const float> x, bool add,
                          MatrixView<float> dx) const override {
    inner().normalise_backward(at(norm), at(d_out), at(x), add, at(dx));
  }
  void add_normalise_gradients(const NormWeights& norm, MatrixView<const float> d_out,
                               MatrixView<const float> x, float* weight_gradient,
                               float* shift_gradient) const override {
    inner().add_normalise_gradients(at(norm), at(d_out), at(x), at(weight_gradient),
                                    at(shift_gradient));
  }
  void turn(const TurnTable& table, std::span<const std::size_t> positions, bool back,
            MatrixView<float> x) const override {
    inner().turn({at(table.cosines), at(table.sines), table.half}, positions, back, at(x));
  }
  void attend(const AttentionShape& shape, MatrixView<const float> q, MatrixView<const float> k,
              MatrixView<const float> v, const Dropout& dropout, const AttentionTrace& trace,
              MatrixView<float> context) const override {
    inner().attend(shape, at(q), at(k), at(v), dropout, at(trace), at(context));
  }
  void attend_backward(const AttentionShape& shape, MatrixView<float> q, MatrixView<float> k,
                       MatrixView<float> v, const Dropout& dropout, const AttentionTrace& trace,
                       MatrixView<const float> d_context,
                       AttentionGradients wanted) const override {
    inner().attend_backward(shape, at(q), at(k), at(v), dropout, at(trace), at(d_context), wanted);
  }
  void attend_relative(const AttentionShape& shape, const RelativeScores& relative,
                       MatrixView<const float> q, MatrixView<const float> k,
                       MatrixView<const float> v, const Dropout& dropout,
                       const AttentionTrace& trace, MatrixView<float> context) const override {
    inner().attend_relative(shape, at(relative), at(q), at(k), at(v), dropout, at(trace),
                            at(context));
  }
  void attend_relative_backward(const AttentionShape& shape, const RelativeScores& relative,
                                MatrixView<float> q, MatrixView<float> k, MatrixView<float> v,
                                const Dropout& dropout, const AttentionTrace& trace,
                                MatrixView<const float> d_context, AttentionGradients wanted,
                                MatrixView<float> d_keys,
                                MatrixView<float> d_queries) const override {
    inner().attend_relative_backward(shape, at(relative), at(q), at(k), at(v), dropout, at(trace),
                                     at(d_context), wanted, at(d_keys), at(d_queries));
  }
  void embed(const EmbeddingTables& tables, std::span<const std::int32_t> ids,
             std::span<const std::int32_t> type_ids, SequenceStarts starts, const NormWeights& norm,
             const Dropout& dropout, MatrixView<float> normalised,
             MatrixView<float> out) const override {
    inner().embed({at(tables.words), at(tables.positions), at(tables.types), tables.padding}, ids,
                  type_ids, starts, at(norm), dropout, at(normalised), at(out));
  }
  void embed_tokens(const float* words, const float* places, std::span<const std::int32_t> ids,
                    std::span<const std::size_t> positions, MatrixView<float> out) const override {
    inner().embed_tokens(at(words), at(places), ids, positions, at(out));
  }
  void cross_entropy_in_place(MatrixView<float> logits, std::span<const std::int32_t> labels,
                              std::span<const float> scales,
                              std::span<double> losses) const override {
    inner().cross_entropy_in_place(at(logits), labels, scales, losses);
  }
  double cross_entropy(MatrixView<const float> logits, std::span<const float> labels,
                       double smoothing, MatrixView<float> d_logits) const override {
    return inner().cross_entropy(at(logits), labels, smoothing, at(d_logits));
  }
  double squared_error(MatrixView<const float> logits, std::span<const float> labels,
                       MatrixView<float> d_logits) const override {
    return inner().squared_error(at(logits), labels, at(d_logits));
  }
  std::size_t feed_forward_rows(std::size_t rows, std::size_t width) const override {
    return inner().feed_forward_rows(rows, width);
  }
  std::size_t vocabulary_rows(std::size_t rows, std::size_t vocabulary) const override {
    return inner().vocabulary_rows(rows, vocabulary);
  }
  std::unique_ptr<const Bfloat16Weight> prepare_bfloat16(const float* weight, std::size_t out,
                                                         std::size_t in) const override {
    return inner().prepare_bfloat16(at(weight), out, in);
  }

 protected:
  using Base::at;
  using Base::Base;
  using Base::inner;

 private:
  NormWeights at(const NormWeights& norm) const {
    return {at(norm.weight), at(norm.shift), norm.epsilon, norm.centred, norm.groups};
  }
  NormTrace at(const NormTrace& trace) const {
    return {at(trace.normalised), at(trace.deviation_inverse)};
  }
  AttentionTrace at(const AttentionTrace& trace) const {
    return {at(trace.sums), at(trace.kept_keys), trace.kept_stride};
  }
  RelativeScores at(const RelativeScores& relative) const {
    return {relative.scale, relative.head_stride, relative.rows, at(relative.keys),
            at(relative.queries)};
  }
};

}  // namespace rankfold
