#include "core/adapter/token_program.h"

#include <algorithm>

namespace rankfold {
namespace {

/// Axes with tokens first, for blocks of `tokens` rows `stride` apart.
std::vector<Axis> for_block(std::vector<Axis> axes, std::size_t tokens, std::size_t stride) {
  axes.front().size = tokens;
  axes.front().stride = stride;
  return axes;
}

/// Whether the first link of a term turns all of X into a few numbers a token, so that it can share
/// a product with others.
bool is_projection(const CompiledTerm& term) {
  if (term.chain.size() < 2) return false;
  const ChainStep& first = term.chain.front();
  std::size_t contracted = 1, kept = 0;
  std::vector<int> brought, result;
  for (const Axis& axis : first.stored) {
    const bool in_x = find_axis(term.input, axis.mode),
               in_result = find_axis(first.result, axis.mode);
    kept += in_x && in_result;
    if (in_x && !in_result) contracted *= axis.size;
    if (!in_x && in_result) brought.push_back(axis.mode);
    if (!in_x && !in_result) return false;
  }
  for (const Axis& axis : first.result)
    if (axis.mode != token_mode) result.push_back(axis.mode);
  return kept == 0 && contracted == volume_of_one_token(term.input) && brought == result &&
         !first.stored.empty() && find_axis(term.input, first.stored.back().mode);
}

}  // namespace

template <class T>
TokenProgram<T>::TokenProgram(std::vector<std::span<const CompiledStage>> members,
                              const std::vector<Parameter<T>>& parameters, ProgramStrides strides,
                              const Device& device)
    : strides_(std::move(strides)) {
  std::size_t width = 0;
  for (const auto& stages : members) {
    width += stages.empty() ? 0 : stages.back().network.out;
    if (!stages.empty()) in_ = stages.front().network.in;
  }
  block_ = device.block_rows(width + in_);
  for (std::size_t m = 0; m < members.size(); ++m) {
    members_.emplace_back();
    for (std::size_t s = 0; s < members[m].size(); ++s) {
      const CompiledStage& stage = members[m][s];
      members_[m].stages.emplace_back();
      members_[m].stages[s].in = stage.network.in;
      members_[m].stages[s].out = stage.network.out;
      members_[m].stages[s].activation = stage.activation;
      for (const CompiledTerm& term : stage.network.terms)
        add_term(term, m, s, s + 1 == members[m].size(), parameters);
    }
  }
  place();
}

template <class T>
std::size_t TokenProgram<T>::add_coefficient(const TreeOperand& operand,
                                             const std::vector<Axis>& stored,
                                             std::size_t first_tree,
                                             const std::vector<Parameter<T>>& parameters) {
  Coefficient made;
  made.source = operand;
  made.stored = stored;
  made.size = volume(stored);
  if (operand.kind == TreeOperand::Kind::block) {
    made.tree = first_tree + operand.index;
    made.trainable = trees_.trainable(made.tree);
    coefficients_.push_back(std::move(made));
    return coefficients_.size() - 1;
  }
  made.trainable = parameters[operand.index].trainable;
  made.gather = TokenLoop(operand.axes, {}, stored);
  made.scatter = TokenLoop(stored, {}, operand.axes);
  // The same numbers in the same order serve every term that reads them.
  const auto same = [&](const Coefficient& other) {
    if (other.tree != none || other.source.index != operand.index ||
        other.source.offset != operand.offset || other.stored.size() != stored.size())
      return false;
    for (std::size_t i = 0; i < stored.size(); ++i)
      if (other.stored[i].size != stored[i].size ||
          find_axis(other.source.axes, other.stored[i].mode)->stride !=
              find_axis(operand.axes, stored[i].mode)->stride)
        return false;
    return true;
  };
  const auto found = std::ranges::find_if(coefficients_, same);
  if (found != coefficients_.end()) return static_cast<std::size_t>(found - coefficients_.begin());
  coefficients_.push_back(std::move(made));
  return coefficients_.size() - 1;
}

template <class T>
void TokenProgram<T>::add_term(const CompiledTerm& term, std::size_t m, std::size_t s, bool last,
                               const std::vector<Parameter<T>>& parameters) {
  Stage& stage = members_[m].stages[s];
  const std::size_t first_tree = trees_.size();
  for (const ContractionTree& block : term.blocks) trees_.add(block, first_tree, parameters);
  const std::size_t y_stride = last ? strides_.y[m] : stage.out;
  if (term.constant) {
    Row row;
    row.scale = static_cast<T>(term.scale);
    std::vector<Axis> out = contiguous(term.row.axes), rows = out;
    row.coefficient = add_coefficient(term.row, out, first_tree, parameters);
    rows.insert(rows.begin(), Axis{token_mode, block_, y_stride});
    row.add = TokenLoop(out, {}, rows);
    row.sum = TokenLoop(rows, {}, out);
    stage.rows.push_back(std::move(row));
    return;
  }
  Chain chain;
  chain.term = &term;
  chain.scale = static_cast<T>(term.scale);
  chain.stacked = s == 0 && is_projection(term);
  for (const ChainStep& step : term.chain) {
    Link link;
    link.coefficient = add_coefficient(step.coefficient, step.stored, first_tree, parameters);
    chain.links.push_back(std::move(link));
  }
  if (chain.stacked) {
    const std::size_t first = chain.links.front().coefficient;
    chain.writes_first = std::ranges::find(stack_, first) == stack_.end();
    if (chain.writes_first) {
      stack_.push_back(first);
      stack_rows_ += coefficients_[first].size / in_;
    }
  }
  stage.chains.push_back(std::move(chain));
}

/// Gives everything its place in memory, then plans the products, whose strides depend on it.
template <class T>
void TokenProgram<T>::place() {
  const auto take = [](std::size_t& memory, std::size_t size) {
    const std::size_t begin = memory;
    memory += whole_lines(size);
    return begin;
  };
  // The stack first: its coefficients lie below each other without gaps.
  stack_value_ = take(shared_, stack_rows_ * in_);
  stack_accumulator_ = take(private_, stack_rows_ * in_);
  std::size_t below = 0;
  for (const std::size_t index : stack_) {
    coefficients_[index].value = stack_value_ + below;
    coefficients_[index].accumulator = stack_accumulator_ + below;
    below += coefficients_[index].size;
  }
  for (std::size_t i = 0; i < coefficients_.size(); ++i) {
    if (std::ranges::find(stack_, i) != stack_.end()) continue;
    coefficients_[i].value = take(shared_, coefficients_[i].size);
    coefficients_[i].accumulator = take(private_, coefficients_[i].size);
  }
  accumulators_ = private_;
  for (const Coefficient& coefficient : coefficients_)
    if (coefficient.tree != none) trees_.set_value(coefficient.tree, coefficient.value);
  shared_ = trees_.place(shared_);
  cost_.fixed_flops = trees_.flops();
  for (const Coefficient& coefficient : coefficients_)
    cost_.fixed_moved += 4 * static_cast<double>(coefficient.size);

  stack_product_ = take(private_, block_ * stack_rows_);
  stack_gradient_ = take(private_, block_ * stack_rows_);
  for (std::size_t m = 0; m < members_.size(); ++m)
    for (std::size_t s = 0; s < members_[m].stages.size(); ++s) {
      Stage& stage = members_[m].stages[s];
      stage.value = take(private_, block_ * stage.out);
      stage.gradient = take(private_, block_ * stage.out);
      if (stage.activation != Activation::none && stage.activation != Activation::relu)
        stage.slopes = take(private_, block_ * stage.out);
      for (Chain& chain : stage.chains) {
        for (std::size_t i = 0; i + 1 < chain.links.size(); ++i) {
          Link& link = chain.links[i];
          if (chain.stacked && i == 0) {
            const std::size_t column = (coefficients_[link.coefficient].value - stack_value_) / in_;
            link.value = stack_product_ + column;
            link.gradient = stack_gradient_ + column;
          } else {
            const std::size_t size = block_ * volume_of_one_token(chain.term->chain[i].result);
            link.value = take(private_, size);
            link.gradient = take(private_, size);
          }
        }
        plan_chain(chain, m, s);
      }
    }
  for (const Member& member : members_)
    if (!member.stages.empty()) {
      const auto out = static_cast<double>(member.stages.back().out);
      cost_.forward_moved += 2 * out;
      cost_.gradient_moved += out;
    }
  cost_.forward_moved += static_cast<double>(in_);
  cost_.gradient_moved += static_cast<double>(in_);
  cost_.input_moved += 2 * static_cast<double>(in_);
  private_ += whole_lines(scratch_);
}

/// The products of a chain, and what they cost.
template <class T>
void TokenProgram<T>::plan_chain(Chain& chain, std::size_t m, std::size_t s) {
  const Stage& stage = members_[m].stages[s];
  const bool last_stage = s + 1 == members_[m].stages.size();
  const auto& steps = chain.term->chain;
  std::vector<Axis> before = for_block(chain.term->input, block_, s == 0 ? strides_.x : stage.in);
  std::vector<Axis> d_before =
      for_block(chain.term->input, block_, s == 0 ? strides_.dx : stage.in);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    Link& link = chain.links[i];
    const bool projection = chain.stacked && i == 0, last = i + 1 == steps.size();
    std::size_t stride = volume_of_one_token(steps[i].result);
    if (projection) stride = stack_rows_;
    if (last && last_stage) stride = strides_.y[m];
    const std::vector<Axis> after = for_block(steps[i].result, block_, stride);
    const std::vector<Axis>& coefficient = steps[i].stored;
    if (!projection) {
      link.forward = PairProduct<T>(before, coefficient, after);
      link.to_coefficient = PairProduct<T>(after, before, coefficient);
      link.to_input = PairProduct<T>(after, coefficient, d_before);
      scratch_ = std::max({scratch_, link.forward.scratch_size(),
                           link.to_coefficient.scratch_size(), link.to_input.scratch_size()});
    }
    const double flops = 2 * product_volume(before, coefficient);
    cost_.forward_flops += flops;
    if (!last || !last_stage) cost_.gradient_flops += flops;  // formed again
    if (coefficients_[link.coefficient].trainable) cost_.gradient_flops += flops;
    (i == 0 && s == 0 ? cost_.input_flops : cost_.gradient_flops) += flops;
    before = d_before = after;
  }
}

template class TokenProgram<float>;
template class TokenProgram<double>;

}  // namespace rankfold
