#include <fmt/core.h>

#include "analysis/figures/spectrum.h"
#include "core/base/files.h"
#include "core/base/json_value.h"
#include "experiments/adapter_files/diagnosis.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

JsonValue number(const std::optional<double>& value) {
  return value ? JsonValue(*value) : JsonValue(nullptr);
}

std::string condition_text(const std::optional<double>& value) {
  return value ? fmt::format("{:.3g}", *value) : "singular";
}

JsonValue to_json(const Diagnosis& found, const AdapterDescription& description) {
  JsonValue document = {{"method", description.method}, {"rank", description.rank}};
  JsonValue factors = JsonValue::array(), sites = JsonValue::array(), groups = JsonValue::array();
  for (const FactorCondition& factor : found.factors)
    factors.push_back({{"name", factor.name},
                       {"copies", factor.copies},
                       {"condition_median", number(factor.median)},
                       {"condition_worst", number(factor.worst)}});
  for (const SiteSpectrum& site : found.sites)
    sites.push_back({{"site", site.site},
                     {"norm", site.norm},
                     {"frozen_norm", number(site.frozen_norm)},
                     {"rank", site.rank},
                     {"effective_rank", site.effective_rank}});
  for (const SiteRedundancy& group : found.groups) {
    JsonValue pairs = JsonValue::array();
    for (const SiteRedundancy::Pair& pair : group.most_alike)
      pairs.push_back({{"sites", {pair.first, pair.second}}, {"cosine", pair.cosine}});
    groups.push_back({{"out", group.out},
                      {"in", group.in},
                      {"sites", group.sites},
                      {"independent", group.independent},
                      {"redundancy", group.redundancy},
                      {"most_alike", pairs}});
  }
  document["factors"] = factors;
  document["sites"] = sites;
  document["groups"] = groups;
  return document;
}

void print(const Diagnosis& found, const AdapterDescription& description, std::ostream& out) {
  out << fmt::format("{} rank {} on {}\n\n", description.method,
                     description.rank.empty() ? "-" : description.rank,
                     counted(found.sites.size(), "weight", "weights"));
  std::vector<std::vector<std::string>> rows{{"factor", "copies", "condition", "worst"}};
  for (const FactorCondition& factor : found.factors)
    rows.push_back({factor.name, std::to_string(factor.copies), condition_text(factor.median),
                    condition_text(factor.worst)});
  write_table(out, rows, {1, 2, 3});
  rows = {{"site", "|dW|", "|dW|/|W|", "rank", "effective rank"}};
  for (const SiteSpectrum& site : found.sites)
    rows.push_back({site.site, fmt::format("{:.4g}", site.norm),
                    site.frozen_norm ? fmt::format("{:.3g}", site.norm / *site.frozen_norm) : "-",
                    std::to_string(site.rank), fmt::format("{:.2f}", site.effective_rank)});
  out << '\n';
  write_table(out, rows, {1, 2, 3, 4});
  for (const SiteRedundancy& group : found.groups) {
    out << fmt::format("\n{}x{}: {}, as much as {:.2f} independent ones; redundancy {:.2f}\n",
                       group.out, group.in, counted(group.sites, "update", "updates"),
                       group.independent, group.redundancy);
    for (const SiteRedundancy::Pair& pair : group.most_alike)
      out << fmt::format("  {:+.3f}  {}  {}\n", pair.cosine, pair.first, pair.second);
  }
}

std::vector<SingularValue> singular_values(const Diagnosis& found) {
  std::vector<SingularValue> values;
  for (const SiteSpectrum& site : found.sites)
    for (std::size_t i = 0; i < site.values.size(); ++i)
      values.push_back({site.site, site.layer, site.matrix, i + 1, site.values[i]});
  return values;
}

int run_diagnose(const Arguments& arguments, Context& context) {
  if (arguments.has("spectrum")) {
    const std::filesystem::path inputs[] = {arguments.text("adapter"), arguments.text("model")};
    constexpr std::string_view beginnings[] = {"site,layer,"};
    expect_not_an_input(arguments.text("spectrum"), inputs);
    expect_replaceable(arguments.text("spectrum"), "table of a spectrum", beginnings);
  }
  const LoneAdapter source = load_lone_adapter(arguments.text("adapter"), arguments.text("model"),
                                               context.registry, make_cpu_device());
  const Diagnosis found = diagnose(source);
  if (arguments.has("spectrum"))
    write_atomically(arguments.text("spectrum"), spectrum_csv(singular_values(found)));
  if (context.json)
    context.out << to_json(found, source.description).text();
  else
    print(found, source.description, context.out);
  return 0;
}

}  // namespace

Command diagnose_command() {
  return {
      "diagnose",
      "condition of an adapter's factors, rank of its updates, redundancy between sites",
      {},
      {{"adapter", "DIR", "", "a run's folder adapter/, or one of huggingface/peft", true},
       {"model", "DIR", "",
        "the base model: for |W|, for PEFT's folders, and where the update depends on its "
        "weights"},
       {"spectrum", "FILE", "",
        "also writes the singular values of every site as CSV, for `rankfold figure spectrum`"}},
      "condition: the largest ratio of singular values over the ways to read a factor as a "
      "matrix, of the\nmedian and of the worst copy. effective rank: exp of the entropy of the "
      "singular values. Cosines\nbelow a shape are those of its most alike updates.",
      run_diagnose,
      {}};
}

}  // namespace rankfold
