#include "core/network/compiled_network.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "core/base/error.h"
#include "core/network/token_chain.h"

namespace rankfold {
namespace {

constexpr std::size_t most_modes = 60;
constexpr std::size_t most_operands = 13;  // planning visits 3^operands splits

/// Sizes of the pieces into which both readings of one block of memory split, or nothing where
/// their borders do not nest. Borders are products counted from the fastest side.
std::optional<std::vector<std::size_t>> common_pieces(const std::vector<std::size_t>& first,
                                                      const std::vector<std::size_t>& second) {
  std::vector<std::size_t> borders;
  for (const auto* sizes : {&first, &second}) {
    std::size_t border = 1;
    for (std::size_t i = sizes->size(); i-- > 0;) borders.push_back(border *= (*sizes)[i]);
  }
  std::ranges::sort(borders);
  const auto [tail, end] = std::ranges::unique(borders);
  borders.erase(tail, end);
  std::vector<std::size_t> pieces;
  std::size_t previous = 1;
  for (const std::size_t border : borders) {
    if (border % previous != 0) return {};
    if (border != previous) pieces.insert(pieces.begin(), border / previous);
    previous = border;
  }
  return pieces;
}

/// Compiles one term; modes are numbered as they are met.
class TermCompiler {
 public:
  TermCompiler(const Network& network, const FindParameter& find_parameter, PlanCache& cache,
               const std::string& what)
      : network_(network), find_parameter_(find_parameter), cache_(cache), what_(what) {
    sizes_.push_back(1);  // tokens
    names_.push_back("tokens");
  }

  CompiledTerm compile(const Term& term, std::size_t tokens) {
    sizes_[token_mode] = tokens;
    CompiledTerm compiled;
    compiled.scale = term.scale;
    compiled.constant = term.constant;
    out_ = side(network_.out);
    in_ = side(network_.in);
    std::vector<TreeOperand> operands;
    for (const Operand& operand : term.product) add_operand(operand, operands);

    std::vector<int> out_modes = expand(out_), in_modes = expand(in_);
    check_reach(operands, out_modes);
    if (!term.constant) check_reach(operands, in_modes);
    std::vector<int> with_tokens{token_mode};
    with_tokens.insert(with_tokens.end(), out_modes.begin(), out_modes.end());
    std::vector<int> dense = out_modes;
    for (const int mode : in_modes)
      if (std::ranges::find(out_modes, mode) == out_modes.end()) dense.push_back(mode);

    for (const auto& [block, block_operands] : blocks_) {
      std::vector<int> modes;
      for (const int mode : block) append_expanded(mode, modes);
      compiled.blocks.push_back(plan(block_operands, modes));
    }
    compiled.regrouped = compiled.blocks.size();
    if (term.constant) {
      const ContractionTree tree = plan(operands, out_modes);
      compiled.row = take_result(tree, out_modes, sizes_, compiled);
      return compiled;
    }
    compiled.reconstruct = plan(operands, dense);
    if (dense.size() != out_modes.size() + in_modes.size())
      compiled.diagonal = places(dense, out_modes, in_modes);
    TreeOperand input;
    input.kind = TreeOperand::Kind::input;
    input.axes = contiguous_axes(in_modes, sizes_);
    input.axes.insert(input.axes.begin(), Axis{token_mode, tokens, 0});
    compiled.input = input.axes;
    operands.push_back(std::move(input));
    add_chain(plan(operands, with_tokens), sizes_, compiled);
    return compiled;
  }

 private:
  /// The strides of these modes in a matrix [out, in].
  std::vector<Axis> places(const std::vector<int>& modes, const std::vector<int>& out_modes,
                           const std::vector<int>& in_modes) const {
    std::vector<Axis> axes = contiguous_axes(modes, sizes_);
    for (Axis& axis : axes) axis.stride = 0;
    std::size_t stride = 1;
    for (const auto* side : {&in_modes, &out_modes})
      for (std::size_t i = side->size(); i-- > 0;) {
        std::ranges::find(axes, (*side)[i], &Axis::mode)->stride += stride;
        stride *= sizes_[(*side)[i]];
      }
    return axes;
  }

  int number(const Mode& mode) {
    const auto found = numbers_.find(mode.name);
    if (found == numbers_.end()) {
      const int created = create(mode.name, mode.size);
      numbers_.emplace(mode.name, created);
      return created;
    }
    if (sizes_[found->second] != mode.size)
      throw Error("{}: mode '{}' has size {} in one place and {} in another", what_, mode.name,
                  sizes_[found->second], mode.size);
    return found->second;
  }

  int create(const std::string& name, std::size_t size) {
    if (sizes_.size() >= most_modes) throw Error("{}: more than {} modes", what_, most_modes);
    if (size == 0) throw Error("{}: mode '{}' has size 0", what_, name);
    sizes_.push_back(size);
    names_.push_back(name);
    return static_cast<int>(sizes_.size() - 1);
  }

  std::vector<int> side(const std::vector<Mode>& modes) {
    std::vector<int> numbers;
    for (const Mode& mode : modes) {
      numbers.push_back(number(mode));
      if (std::ranges::count(numbers, numbers.back()) > 1)
        throw Error("{}: mode '{}' stands twice in one list of modes", what_, mode.name);
    }
    return numbers;
  }

  /// A mode as the pieces it was split into so far; modes of one value vanish.
  void append_expanded(int mode, std::vector<int>& into) const {
    const auto found = pieces_.find(mode);
    if (found != pieces_.end()) {
      for (const int piece : found->second) append_expanded(piece, into);
    } else if (sizes_[mode] != 1) {
      into.push_back(mode);
    }
  }

  std::vector<int> expand(const std::vector<int>& modes) const {
    std::vector<int> expanded;
    for (const int mode : modes) append_expanded(mode, expanded);
    return expanded;
  }

  std::vector<Axis> expand(const std::vector<Axis>& axes) const {
    std::vector<Axis> expanded;
    for (const Axis& axis : axes) {
      std::vector<int> pieces;
      append_expanded(axis.mode, pieces);
      std::size_t stride = axis.stride, position = expanded.size();
      for (std::size_t i = pieces.size(); i-- > 0;) {
        expanded.insert(expanded.begin() + static_cast<std::ptrdiff_t>(position),
                        Axis{pieces[i], sizes_[pieces[i]], stride});
        stride *= sizes_[pieces[i]];
      }
    }
    return expanded;
  }

  void add_operand(const Operand& operand, std::vector<TreeOperand>& operands) {
    if (const auto* factor = std::get_if<Factor>(&operand))
      operands.push_back(leaf(*factor));
    else
      add_block(std::get<Block>(operand), operands);
  }

  TreeOperand leaf(const Factor& factor) {
    TreeOperand operand;
    operand.index = find_parameter_(factor);
    std::size_t stride = 1;
    for (std::size_t i = factor.modes.size(); i-- > 0;) {
      const Mode& mode = factor.modes[i];
      const auto same = std::ranges::count(factor.modes, mode.name, &Mode::name);
      if (same > 1)
        throw Error("{}: mode '{}' stands {} times in factor '{}', expected once", what_, mode.name,
                    same, factor.name);
      const auto selection = std::ranges::find(network_.select, mode.name, &Selection::mode);
      if (selection == network_.select.end()) {
        operand.axes.insert(operand.axes.begin(), Axis{number(mode), mode.size, stride});
      } else {
        if (selection->count == 0 || selection->begin >= mode.size ||
            selection->count > mode.size - selection->begin)
          throw Error("{}: factor '{}' has {} values of mode '{}', the site reads {} from {}",
                      what_, factor.name, mode.size, mode.name, selection->count, selection->begin);
        operand.offset += selection->begin * stride;
        if (selection->count > 1)
          operand.axes.insert(operand.axes.begin(), Axis{number({mode.name, selection->count}),
                                                         selection->count, stride});
      }
      stride *= mode.size;
    }
    return operand;
  }

  void add_block(const Block& block, std::vector<TreeOperand>& operands) {
    std::vector<TreeOperand> inside;
    for (const Operand& operand : block.product) add_operand(operand, inside);
    const std::vector<int> stored = side(block.modes), read = side(block.as);
    const std::vector<int> stored_pieces = expand(stored), read_pieces = expand(read);
    const auto sizes_of = [&](const std::vector<int>& modes) {
      std::vector<std::size_t> sizes;
      for (const int mode : modes) sizes.push_back(sizes_[mode]);
      return sizes;
    };
    const std::vector<std::size_t> stored_sizes = sizes_of(stored_pieces),
                                   read_sizes = sizes_of(read_pieces);
    const auto volume = [](const std::vector<std::size_t>& sizes) {
      return std::accumulate(sizes.begin(), sizes.end(), std::size_t{1}, std::multiplies<>());
    };
    if (volume(stored_sizes) != volume(read_sizes))
      throw Error("{}: a block of {} numbers is read as {}", what_, volume(stored_sizes),
                  volume(read_sizes));
    const auto pieces = common_pieces(stored_sizes, read_sizes);
    if (pieces && operands.size() + inside.size() < most_operands) {
      std::vector<int> shared;
      for (const std::size_t size : *pieces) shared.push_back(create("piece", size));
      for (const auto* modes : {&stored_pieces, &read_pieces}) split(*modes, shared);
      operands.insert(operands.end(), inside.begin(), inside.end());
      return;
    }
    TreeOperand whole;
    whole.kind = TreeOperand::Kind::block;
    whole.index = blocks_.size();
    whole.axes = contiguous_axes(read_pieces, sizes_);
    blocks_.emplace_back(stored_pieces, std::move(inside));
    operands.push_back(std::move(whole));
  }

  /// Records which of the shared pieces each mode consists of.
  void split(const std::vector<int>& modes, const std::vector<int>& shared) {
    std::size_t next = 0;
    for (const int mode : modes) {
      std::vector<int> pieces;
      std::size_t size = 1;
      while (size < sizes_[mode]) {
        size *= sizes_[shared[next]];
        pieces.push_back(shared[next++]);
      }
      pieces_[mode] = std::move(pieces);
    }
  }

  ContractionTree plan(const std::vector<TreeOperand>& operands, const std::vector<int>& output) {
    if (operands.size() > most_operands)
      throw Error("{}: {} operands in one product, at most {} can be planned", what_,
                  operands.size(), most_operands);
    ContractionTree tree;
    std::vector<std::vector<int>> modes;
    for (const TreeOperand& operand : operands) {
      TreeOperand expanded = operand;
      expanded.axes = expand(operand.axes);
      modes.push_back(modes_of(expanded.axes));
      tree.operands.push_back(std::move(expanded));
    }
    const auto [plan, is_new] = cache_.try_emplace({modes, output, sizes_});
    if (is_new) plan->second = plan_contraction(modes, output, sizes_);
    tree.steps = plan->second;
    for (const ContractionStep& step : tree.steps)
      tree.results.push_back(contiguous_axes(step.modes, sizes_));
    tree.output = contiguous_axes(output, sizes_);
    return tree;
  }

  void check_reach(const std::vector<TreeOperand>& operands, const std::vector<int>& side_modes) {
    std::vector<int> reached;
    for (const TreeOperand& operand : operands)
      for (const Axis& axis : expand(operand.axes)) reached.push_back(axis.mode);
    for (const int mode : side_modes)
      if (std::ranges::find(reached, mode) == reached.end())
        throw Error("{}: mode '{}' of the weight stands in no factor", what_, names_[mode]);
  }

  const Network& network_;
  const FindParameter& find_parameter_;
  PlanCache& cache_;
  const std::string& what_;
  std::vector<std::size_t> sizes_;
  std::vector<std::string> names_;
  std::map<std::string, int> numbers_;
  std::map<int, std::vector<int>> pieces_;
  std::vector<std::pair<std::vector<int>, std::vector<TreeOperand>>> blocks_;
  std::vector<int> out_, in_;
};

std::size_t volume(const std::vector<Mode>& modes) {
  std::size_t size = 1;
  for (const Mode& mode : modes) size *= mode.size;
  return size;
}

}  // namespace

CompiledNetwork compile_network(const Network& network, std::size_t tokens,
                                const FindParameter& find_parameter, PlanCache& cache,
                                const std::string& what) {
  CompiledNetwork compiled;
  compiled.out = volume(network.out);
  compiled.in = volume(network.in);
  for (const Term& term : network.terms)
    compiled.terms.push_back(
        TermCompiler(network, find_parameter, cache, what).compile(term, tokens));
  return compiled;
}

}  // namespace rankfold
