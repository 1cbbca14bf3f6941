#include "core/adapter/rank_budget.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

class RankSearch {
 public:
  RankSearch(const Method& method, MethodRequest request, const Stack& stack, std::size_t budget,
             std::function<bool(const std::string&)> accepts)
      : method_(method),
        request_(std::move(request)),
        stack_(stack),
        budget_(budget),
        accepts_(std::move(accepts)) {}

  BudgetedRank choose() {
    if (!method_.has_rank) {
      const std::size_t only = count("");
      return {"", only, only <= budget_};
    }
    const auto limit = method_.rank_limit ? method_.rank_limit(stack_) : std::nullopt;
    const std::size_t largest = std::min(limit.value_or(largest_rank), largest_rank);
    find_step(largest);
    const std::size_t most = largest / step_, first = count(text(1));
    if (limit && most > 1 && count_or_more(text(2)) < first) return choose_of_all(most);
    if (first > budget_) return {text(1), first, false};
    std::size_t fitting = 1, beyond = 2;
    while (beyond <= most && fits(beyond)) {
      fitting = beyond;
      beyond *= 2;
    }
    beyond = std::min(beyond, most + 1);
    while (beyond - fitting > 1) {
      const std::size_t middle = fitting + (beyond - fitting) / 2;
      (fits(middle) ? fitting : beyond) = middle;
    }
    return spend_rest(smallest_alike(fitting), most);
  }

 private:
  /// Beyond any rank that a method allows: resolve_settings knows no larger one.
  static constexpr std::size_t largest_rank = 1'000'000;
  static constexpr std::size_t largest_step = 64;

  /// The smallest rank that the method takes; where that is not 1, ranks are multiples of it.
  void find_step(std::size_t largest) {
    for (step_ = 1; step_ <= std::min(largest, largest_step); ++step_)
      if (count_or_more(text(1)) != refused) return;
    step_ = 1;
  }

  /// The setting of a rank, in steps.
  std::string text(std::size_t steps) const { return std::to_string(steps * step_); }

  std::size_t count(const std::string& rank) {
    const auto known = counts_.find(rank);
    if (known != counts_.end()) return known->second;
    request_.rank = rank;
    const std::size_t size =
        count_parameters(method_, stack_, resolve_settings(method_, request_, stack_)).trainable;
    counts_[rank] = size;
    return size;
  }

  /// What is wrong with the request shows at the smallest rank; a larger rank that is refused is
  /// too large.
  static constexpr std::size_t refused = std::numeric_limits<std::size_t>::max();
  std::size_t count_or_more(const std::string& rank) {
    try {
      return count(rank);
    } catch (const Error&) {
      return refused;
    }
  }

  bool fits(std::size_t steps) { return count_or_more(text(steps)) <= budget_; }

  /// The smallest of as many parameters (lokr's w2 is full from some rank on).
  std::size_t smallest_alike(std::size_t steps) {
    const std::size_t size = count(text(steps));
    if (steps == 1 || count(text(steps - 1)) < size) return steps;
    std::size_t fewer = 0;
    while (steps - fewer > 1) {
      const std::size_t middle = fewer + (steps - fewer) / 2;
      (count(text(middle)) < size ? fewer : steps) = middle;
    }
    return steps;
  }

  /// Of counts that do not grow with the rank.
  BudgetedRank choose_of_all(std::size_t most) {
    std::vector<BudgetedRank> ranks;
    for (std::size_t steps = 1; steps <= most; ++steps)
      if (const std::size_t size = count_or_more(text(steps)); size != refused)
        ranks.push_back({text(steps), size, size <= budget_});
    // The largest that fits stands first, then smaller ones, then the others from the smallest on.
    std::ranges::stable_sort(ranks, [](const BudgetedRank& a, const BudgetedRank& b) {
      if (a.fits != b.fits) return a.fits;
      return a.fits ? a.parameters > b.parameters : a.parameters < b.parameters;
    });
    const auto found = std::ranges::find_if(
        ranks, [&](const BudgetedRank& rank) { return !accepts_ || accepts_(rank.rank); });
    return found == ranks.end() ? ranks.front() : *found;
  }

  BudgetedRank spend_rest(std::size_t equal, std::size_t most) {
    BudgetedRank best{text(equal), count(text(equal)), true};
    request_.rank = best.rank;
    if (!method_.rank_modes || step_ > 1 || equal == most ||
        budget_ - best.parameters <= budget_ / 20)
      return best;
    std::vector<std::size_t> ranks = resolve_settings(method_, request_, stack_).ranks;
    if (ranks.size() < 2) return best;
    for (;;) {
      std::size_t chosen = ranks.size();
      BudgetedRank larger = best;
      for (std::size_t mode = 0; mode < ranks.size(); ++mode) {
        if (ranks[mode] > equal) continue;
        std::vector<std::string> parts;
        for (std::size_t i = 0; i < ranks.size(); ++i)
          parts.push_back(std::to_string(ranks[i] + (i == mode ? 1 : 0)));
        const std::string text = join(parts, "x");
        const std::size_t size = count_or_more(text);
        if (size > budget_ || size <= larger.parameters) continue;
        larger = {text, size, true};
        chosen = mode;
      }
      if (chosen == ranks.size()) return best;
      ++ranks[chosen];
      best = larger;
    }
  }

  const Method& method_;
  MethodRequest request_;
  const Stack& stack_;
  std::size_t budget_;
  std::function<bool(const std::string&)> accepts_;
  std::size_t step_ = 1;
  std::map<std::string, std::size_t> counts_;  ///< found so far
};

}  // namespace

BudgetedRank choose_rank(const Method& method, MethodRequest request, const Stack& stack,
                         std::size_t budget, std::function<bool(const std::string& rank)> accepts) {
  return RankSearch(method, std::move(request), stack, budget, std::move(accepts)).choose();
}

}  // namespace rankfold
