#include <optional>

#include <fmt/core.h>

#include "core/adapter/rank.h"
#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/reach/degrees_of_freedom.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"
#include "experiments/sweep/counting.h"

namespace rankfold {
namespace {

/// What --effective adds.
struct Effective {
  DegreesOfFreedom found;
  std::vector<std::string> sites;

  std::string method() const { return found.reduced_sizes ? "reduced sizes" : "exact"; }
};

void add_effective(const Effective& effective, JsonValue& document) {
  document["degrees_of_freedom"] = effective.found.total;
  document["degrees_of_freedom_method"] = effective.method();
  document["attainable_rank"] = JsonValue::array();
  for (std::size_t i = 0; i < effective.sites.size(); ++i)
    document["attainable_rank"].push_back(
        {{"site", effective.sites[i]}, {"rank", effective.found.attainable_ranks[i]}});
}

/// What is printed of one count.
struct Printed {
  std::string model;
  const Method& method;
  ModelCount count;
  std::string rank;  ///< as given or chosen
  std::optional<std::size_t> budget;
  std::optional<Effective> effective;

  /// Of a method that has no rank for a budget to choose.
  bool is_over_budget() const { return budget && count.adapter > *budget; }
};

void print_json(const Printed& printed, std::ostream& out) {
  const ModelCount& count = printed.count;
  JsonValue document;
  document["model"] = printed.model;
  document["method"] = printed.method.name;
  document["rank"] = nullptr;
  if (printed.method.has_rank) document["rank"] = count.rank;
  if (printed.budget) {
    const std::optional<Rank> rank = Rank::parse(printed.rank);
    if (rank && rank->is_per_mode()) document["rank"] = printed.rank;
    document["budget"] = *printed.budget;
    document["over_budget"] = printed.is_over_budget();
  }
  document["targets"] = count.targets;
  document["matrices"] = count.matrices;
  document["adapter"] = count.adapter;
  document["trainable"] = count.trainable;
  document["factors"] = JsonValue::array();
  for (const FactorCount& factor : count.factors)
    document["factors"].push_back({{"name", factor.name},
                                   {"shape", factor.shape},
                                   {"copies", factor.copies},
                                   {"trainable", factor.trainable}});
  if (printed.effective) add_effective(*printed.effective, document);
  out << document.text();
}

void print_text(const Printed& printed, std::ostream& out) {
  const ModelCount& count = printed.count;
  const std::string rank = printed.method.has_rank ? fmt::format(" rank {}", printed.rank) : "",
                    budget = printed.budget ? fmt::format(" (budget {})", *printed.budget) : "";
  out << fmt::format("{} on {}{}{}, targets {}: {}\n\n", printed.method.name, printed.model, rank,
                     budget, count.targets, counted(count.matrices, "matrix", "matrices"));
  std::vector<std::vector<std::string>> rows = {{"factor", "shape", "copies", "parameters"}};
  for (const FactorCount& factor : count.factors) {
    std::size_t size = factor.copies;
    for (const std::size_t extent : factor.shape) size *= extent;
    rows.push_back({factor.name, shape_text(factor.shape), std::to_string(factor.copies),
                    factor.trainable ? std::to_string(size) : fmt::format("({} frozen)", size)});
  }
  write_table(out, rows, {1, 2, 3});
  out << fmt::format("\nadapter    {}\ntrainable  {}\n", count.adapter, count.trainable);
  if (printed.effective)
    out << fmt::format("degrees of freedom  {}{}\n", printed.effective->found.total,
                       printed.effective->found.reduced_sizes ? " (from smaller sizes)" : "");
}

Effective measure(const ModelShape& shape, const Method& method, const RunSettings& settings,
                  std::ostream& err) {
  const Stack stack = chosen_stack(shape, method, settings);
  Effective effective{find_degrees_of_freedom(
                          method, stack, resolve_settings(method, method_request(settings), stack),
                          make_cpu_device()),
                      {}};
  for (const Site& site : stack.sites) effective.sites.push_back(site.name);
  if (effective.found.reduced_sizes)
    err << fmt::format(
        "[{}] degrees of freedom: measured at smaller sizes and fewer alike sites, extended "
        "linearly and checked at another size\n",
        method.name);
  return effective;
}

int run_count(const Arguments& arguments, Context& context) {
  const Method& method = context.registry.at(arguments.text("method"));
  const ModelShape shape = find_shape(arguments.text("model"));
  const std::size_t labels = arguments.count("labels", 2);
  if (labels > 1'000'000) throw UsageError("--labels is {}; expected at most 1000000", labels);
  const RunSettings settings = settings_within_budget(arguments, method, shape, OverBudget::taken);
  const ModelCount count = count_model(shape, method, settings, labels);
  for (const std::string& note : count.notes) context.err << note << '\n';
  Printed printed{shape.name, method, count, settings.text("rank"), {}, {}};
  if (arguments.has("budget")) printed.budget = arguments.count("budget", 1);
  if (printed.is_over_budget())
    context.err << fmt::format(
        "{} has {} parameters, more than the budget of {}, and no rank to "
        "choose\n",
        method.name, count.adapter, *printed.budget);
  if (arguments.has("effective")) printed.effective = measure(shape, method, settings, context.err);
  if (context.json)
    print_json(printed, context.out);
  else
    print_text(printed, context.out);
  return 0;
}

}  // namespace

Command count_command() {
  std::vector<Option> options = {
      {"model", "NAME|DIR", "", "a built-in shape (`rankfold models`) or a model folder", true},
      {"method", "NAME", "", "decomposition; `rankfold methods` lists them", true}};
  for (const Option& option :
       setting_options(false, {"scoring", "rank", "alpha", "preset", "targets", "layers"}))
    options.push_back(option);
  options.push_back(budget_option());
  options.push_back(set_option());
  options.push_back({"train", "LIST", "", "counted as well: norms, norm-shifts, head, tt-head, output"});
  options.push_back({"labels", "N", "2", "outputs of the head"});
  options.push_back({"effective", "", "",
                     "count degrees of freedom as well: parameters without those that only change "
                     "how an update is written"});
  return {"count",
          "counts the parameters of a method on a model",
          {},
          options,
          "Nothing is loaded: shapes decide. trainable = adapter + the parts of --train.",
          run_count,
          {}};
}

}  // namespace rankfold
