#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/table.h"
#include "experiments/sweep/counting.h"

namespace rankfold {
namespace {

void print_json(const std::string& model, const Method& method, const ModelCount& count,
                std::ostream& out) {
  nlohmann::ordered_json document;
  document["model"] = model;
  document["method"] = method.name;
  document["rank"] = nullptr;
  if (method.has_rank) document["rank"] = count.rank;
  document["targets"] = count.targets;
  document["matrices"] = count.matrices;
  document["adapter"] = count.adapter;
  document["trainable"] = count.trainable;
  document["factors"] = nlohmann::ordered_json::array();
  for (const FactorCount& factor : count.factors)
    document["factors"].push_back({{"name", factor.name},
                                   {"shape", factor.shape},
                                   {"copies", factor.copies},
                                   {"trainable", factor.trainable}});
  out << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

void print_text(const std::string& model, const Method& method, const ModelCount& count,
                std::ostream& out) {
  const std::string rank = method.has_rank ? fmt::format(" rank {}", count.rank) : "";
  out << fmt::format("{} on {}{}, targets {}: {}\n\n", method.name, model, rank, count.targets,
                     counted(count.matrices, "matrix", "matrices"));
  std::vector<std::vector<std::string>> rows = {{"factor", "shape", "copies", "parameters"}};
  for (const FactorCount& factor : count.factors) {
    std::size_t size = factor.copies;
    for (const std::size_t extent : factor.shape) size *= extent;
    rows.push_back({factor.name, shape_text(factor.shape), std::to_string(factor.copies),
                    factor.trainable ? std::to_string(size) : fmt::format("({} frozen)", size)});
  }
  write_table(out, rows, {1, 2, 3});
  out << fmt::format("\nadapter    {}\ntrainable  {}\n", count.adapter, count.trainable);
}

int run(const Arguments& arguments, Context& context) {
  const Method& method = context.registry.at(arguments.text("method"));
  const ModelShape shape = find_shape(arguments.text("model"));
  const std::size_t labels = arguments.count("labels", 2);
  if (labels > 1'000'000) throw UsageError("--labels is {}; expected at most 1000000", labels);
  const ModelCount count = count_model(shape, method, given_settings(arguments), labels);
  for (const std::string& note : count.notes) context.err << note << '\n';
  (context.json ? print_json : print_text)(shape.name, method, count, context.out);
  return 0;
}

}  // namespace

Command count_command() {
  std::vector<Option> options = {
      {"model", "NAME|DIR", "", "a built-in shape (`rankfold models`) or a model folder", true},
      {"method", "NAME", "", "decomposition; `rankfold methods` lists them", true}};
  for (const Option& option :
       setting_options(false, {"rank", "alpha", "preset", "targets", "layers"}))
    options.push_back(option);
  options.push_back(set_option());
  options.push_back({"train", "LIST", "", "counted as well: norms, head, tt-head, output"});
  options.push_back({"labels", "N", "2", "outputs of the head"});
  return {"count",
          "counts the parameters of a method on a model",
          {},
          options,
          "Nothing is loaded: shapes decide. trainable = adapter + the parts of --train.",
          run,
          {}};
}

}  // namespace rankfold
