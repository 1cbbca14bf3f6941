#include "experiments/commands/methods_page.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/core.h>

#include "analysis/drawings/network_diagram.h"
#include "core/adapter/adapter.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/device/machine_rates.h"
#include "experiments/commands/text_table.h"
#include "experiments/models/shapes.h"
#include "experiments/runs/settings.h"

namespace rankfold {
namespace {

constexpr const char* page_rank = "8";
constexpr std::array page_ranks{"2", page_rank, "32"};
constexpr std::size_t layer_width = 768, layer_tokens = 4096;

struct Model {
  const char *title, *shape;
};
constexpr std::array models{Model{"RoBERTa-base", "roberta-base"},
                            Model{"Llama-2-7B", "llama-2-7b"}};

// --- Markdown ---------------------------------------------------------------------------------

/// Text for a paragraph or a cell, on one line.
std::string plain(std::string_view text) {
  std::string escaped;
  for (const char character : printable(text)) {
    if (std::string_view("\\`*<|").find(character) != std::string_view::npos) escaped += '\\';
    escaped += character;
  }
  return escaped;
}

std::string code(std::string_view text) {
  std::string inside;
  for (const char character : printable(text)) {
    if (character == '|') inside += '\\';
    inside += character == '`' ? '\'' : character;
  }
  return inside.empty() ? "" : "`" + inside + "`";
}

/// "294,912"
std::string grouped(std::size_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

/// The first row is the header; columns from `right` on are aligned at their right.
std::string table(const std::vector<std::vector<std::string>>& rows, std::size_t right = 99) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += "|";
    for (const std::string& cell : rows[i]) text += cell.empty() ? " |" : " " + cell + " |";
    text += '\n';
    if (i > 0) continue;
    text += "|";
    for (std::size_t k = 0; k < rows[0].size(); ++k) text += k < right ? " --- |" : " ---: |";
    text += '\n';
  }
  return text + '\n';
}

// --- what is found of a method ----------------------------------------------------------------

/// A result, or the message of the method that refuses.
template <class Value>
struct Answer {
  std::optional<Value> value;
  std::string refusal;
};
template <class Action>
auto ask(Action action) -> Answer<decltype(action())> {
  try {
    return {action(), {}};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

MethodSettings settings_at(const Method& method, const char* rank, const Stack& stack) {
  return resolve_settings(method, {method.has_rank ? rank : "", {}, "", {}}, stack);
}

std::string targets(const Method& method) {
  return method.default_targets.empty() ? "q,v" : method.default_targets;
}

/// The method's own targets in all layers.
Stack stack_on(const Method& method, const Model& model) {
  return select_sites(method, catalogue(find_shape(model.shape)), targets(method), "all", {});
}

Answer<Count> count_on(const Method& method, const Model& model, const char* rank) {
  return ask([&] {
    const Stack stack = stack_on(method, model);
    return count_parameters(method, stack, settings_at(method, rank, stack));
  });
}

struct Cost {
  double over_frozen = 1;
  Plan plan;
};

/// Forward and backward of an adapted layer over the frozen one, as the planner has it.
Answer<Cost> predict_cost(const Method& method) {
  return ask([&] {
    const MachineRates rates = nominal_rates();
    const Stack stack({{"layer", MatrixType::q, 0, layer_width, layer_width, 12}});
    const auto adapter = make_adapter<float>(method, stack, settings_at(method, page_rank, stack),
                                             make_cpu_device(rates));
    const std::size_t site = 0;
    Cost cost{1, adapter->plan({&site, 1}, layer_tokens, true)};
    const Plan& plan = cost.plan;
    const double frozen = 2 * 2.0 * layer_tokens * layer_width * layer_width / rates.large_flops;
    cost.over_frozen += ((plan.merged ? plan.merged_seconds : plan.factored_seconds) +
                         (plan.dense ? plan.dense_seconds : plan.factored_gradient_seconds)) /
                        frozen;
    return cost;
  });
}

/// The network of the first target in layer 1, or where that has none.
Answer<std::string> draw(const Method& method, std::string& site_name) {
  return ask([&] {
    const Stack stack = stack_on(method, models[0]);
    const std::size_t layer = stack.layers[stack.layers.size() > 1 ? 1 : 0];
    const auto site = std::ranges::find(stack.sites, layer, &Site::layer);
    site_name = site->name;
    return network_diagram(
        method.declare(*site, stack, settings_at(method, page_rank, stack)),
        fmt::format("The network of {} at {} of {}", method.name, site->name, models[0].title));
  });
}

// --- the page ---------------------------------------------------------------------------------

std::string introduction() {
  return fmt::format(
      "# Methods\n\n"
      "Every registered method: its formula, its network drawn from the declaration, its "
      "parameters, and what "
      "it costs.\nThis page is written by `rankfold methods --write docs` from the registry; do "
      "not edit it. "
      "[adding-a-method.md](adding-a-method.md)\ntells how a method gets here.\n\n"
      "Numbers are those of the default settings. Parameters are counted at rank {} on q and v of "
      "all layers "
      "(methods with\ntargets of their own: on those).\n\n"
      "**Cost** is a prediction: forward and backward of one {} x {} layer at {} tokens, over the "
      "same layer frozen, as the\nplanner computes it at the nominal rates of no machine in "
      "particular, so "
      "that it is the same everywhere.\n[performance.md](performance.md) has measured figures; "
      "`rankfold "
      "bench layer` measures on your machine.\n\n",
      page_rank, layer_width, layer_width, grouped(layer_tokens));
}

std::string diagram_key() {
  return "In the drawings a box is a factor, coloured by who shares it: all sites, those of a "
         "layer, those of a "
         "matrix type, or\nnobody; grey and dashed where it is frozen. A line is a mode that two "
         "factors "
         "share, with its name and size; a dot joins\nmore than two. Lines at the bottom are the "
         "modes that stay: "
         "those of the weight's `out` and `in` sides end in a\nbracket, and a small square is the "
         "value "
         "that the site takes of a mode of the stack (counted from 0). A dashed\nframe is a "
         "product whose "
         "modes are read as others of the same total size. Numbers are those of rank " +
         std::string(page_rank) + ".\n\n";
}

std::string counted_cell(const Method& method, const Answer<Count>& count) {
  if (!count.value) return "refused";
  const std::string number = grouped(count.value->trainable);
  return method.default_targets.empty() ? number : number + " (" + method.default_targets + ")";
}

std::string cost_cell(const Answer<Cost>& cost) {
  return cost.value ? fmt::format("{:.2f}", cost.value->over_frozen) : "refused";
}

std::string factor_table(const Method& method) {
  const Answer<Count> count = count_on(method, models[0], page_rank);
  if (!count.value)
    return fmt::format("No factors on {}: {}\n\n", models[0].title, plain(count.refusal));
  if (count.value->factors.empty()) return "No factors.\n\n";
  std::vector<std::vector<std::string>> rows{{"factor", "shape", "copies", "trainable"}};
  for (const FactorCount& factor : count.value->factors)
    rows.push_back({code(factor.name), shape_text(factor.shape), grouped(factor.copies),
                    factor.trainable ? "yes" : "no"});
  return fmt::format("Factors on {}{}:\n\n", models[0].title,
                     method.has_rank ? fmt::format(" at rank {}", page_rank) : "") +
         table(rows);
}

std::string option_table(const Method& method) {
  std::string text;
  if (method.alpha != 0)
    text += fmt::format("`--alpha` is {} by default.\n\n", canonical_number(method.alpha));
  if (!method.options.empty()) {
    std::vector<std::vector<std::string>> rows{{"option", "values", "default", "meaning"}};
    for (const MethodOption& option : method.options) {
      std::vector<std::string> choices;
      for (const std::string& choice : option.choices) choices.push_back(code(choice));
      rows.push_back(
          {code(option.name), join(choices, ", "), code(option.fallback), plain(option.meaning)});
    }
    text += table(rows);
  }
  if (method.presets.empty()) return text;
  std::vector<std::vector<std::string>> rows{{"preset", "sets", "source"}};
  for (const Preset& preset : method.presets) {
    std::vector<std::string> values;
    for (const auto& [key, value] : preset.values) values.push_back(code(key + "=" + value));
    rows.push_back({code(preset.name), join(values, ", "), plain(preset.source)});
  }
  return text + table(rows);
}

/// Ranks: one, one a mode, or none, and how large they may be.
std::string rank_lines(const Method& method) {
  if (!method.has_rank) return "The method has no rank.\n\n";
  std::string text;
  const auto modes = ask([&] {
    return method.rank_modes
               ? method.rank_modes(settings_at(method, page_rank, stack_on(method, models[0])))
               : std::vector<std::string>{};
  });
  if (modes.value && !modes.value->empty())
    text += fmt::format("A rank for each of {}: `--rank AxB..`, or one number for all. ",
                        plain(join(*modes.value, ", ")));
  std::vector<std::string> limits;
  for (const Model& model : models) {
    const auto limit = ask([&] {
      return method.rank_limit ? method.rank_limit(stack_on(method, model)) : std::nullopt;
    });
    if (limit.value && *limit.value)
      limits.push_back(fmt::format("{} on {}", **limit.value, model.title));
  }
  text += limits.empty() ? "Ranks have no limit of their own."
                         : "The largest rank is " + join(limits, ", ") + ".";
  return text + "\n\n";
}

std::string count_table(const Method& method) {
  std::vector<std::vector<std::string>> rows{{"rank"}};
  std::vector<std::string> remarks;
  const auto remark = [&](std::string text) {
    if (std::ranges::find(remarks, text) == remarks.end()) remarks.push_back(std::move(text));
  };
  for (const Model& model : models) rows[0].emplace_back(model.title);
  for (const char* rank : page_ranks) {
    if (!method.has_rank && rank != page_rank) continue;
    rows.push_back({method.has_rank ? rank : "none"});
    for (const Model& model : models) {
      const Answer<Count> count = count_on(method, model, rank);
      rows.back().push_back(count.value ? grouped(count.value->trainable) : "refused");
      if (!count.value) remark(fmt::format("{}: {}", model.title, plain(count.refusal)));
      const auto notes = ask([&] {
        const Stack stack = stack_on(method, model);
        return method.notes ? method.notes(stack, settings_at(method, rank, stack))
                            : std::vector<std::string>{};
      });
      for (const std::string& note : notes.value.value_or(std::vector<std::string>{}))
        remark(fmt::format("{}: {}", model.title, plain(note)));
    }
  }
  std::string text =
      fmt::format("Parameters, targets {} of all layers:\n\n", targets(method)) + table(rows, 0);
  for (const std::string& line : remarks) text += "- " + line + "\n";
  return text + (remarks.empty() ? "" : "\n");
}

std::string cost_line(const Answer<Cost>& cost) {
  if (!cost.value)
    return fmt::format("Cost: refused on a {} x {} layer: {}\n\n", layer_width, layer_width,
                       plain(cost.refusal));
  const Plan& plan = cost.value->plan;
  if (cost.value->over_frozen == 1) return "Predicted cost: that of the frozen layer.\n\n";
  return fmt::format(
      "Predicted cost: {:.2f} times the frozen layer, outputs and dX {}, factors' gradients "
      "{}.\n\n",
      cost.value->over_frozen, plan.merged ? "through W + dW" : "through W and the factors apart",
      plan.dense ? "through dY^T X" : "by blocks of tokens");
}

/// How a wrapper, which stands here over lora, goes over another method.
std::string wrapper_line(const Registry& registry, const std::string& name) {
  if (std::ranges::find(registry.wrappers(), name, &Wrapper::name) == registry.wrappers().end())
    return "";
  return fmt::format(
      "Shown over lora; `{}(METHOD)` is the same over another method that adds a plain update to "
      "the weight.\n\n",
      name);
}

std::string section(const Registry& registry, const Method& method, const Answer<Cost>& cost,
                    const Answer<std::string>& diagram, const std::string& site) {
  std::string text = fmt::format("## {}\n\n{}.\n\n    {}\n\n", method.name, plain(method.summary),
                                 printable(method.formula));
  text += "Source: " + plain(method.reference) + "\n\n" + wrapper_line(registry, method.name);
  if (diagram.value)
    text += fmt::format("![The network of {0} at one site](methods/{0}.svg)\n\n{1} of {2}\n\n",
                        method.name, code(site), models[0].title);
  else
    text += fmt::format("No drawing on {}: {}\n\n", models[0].title, plain(diagram.refusal));
  return text + factor_table(method) + rank_lines(method) + option_table(method) +
         count_table(method) + cost_line(cost);
}

}  // namespace

std::vector<PageFile> methods_page(const Registry& registry) {
  std::vector<PageFile> files;
  std::vector<std::vector<std::string>> contents{{"method", "summary"}};
  for (const Model& model : models) contents[0].emplace_back(model.title);
  contents[0].emplace_back("predicted cost");
  std::string sections;
  for (const Method& method : registry.methods()) {
    const Answer<Cost> cost = predict_cost(method);
    std::string site;
    Answer<std::string> diagram = draw(method, site);
    contents.push_back({fmt::format("[{0}](#{0})", method.name), plain(method.summary)});
    for (const Model& model : models)
      contents.back().push_back(counted_cell(method, count_on(method, model, page_rank)));
    contents.back().push_back(cost_cell(cost));
    sections += section(registry, method, cost, diagram, site);
    if (diagram.value)
      files.push_back({"methods/" + method.name + ".svg", std::move(*diagram.value)});
  }
  while (sections.ends_with("\n\n")) sections.pop_back();
  // The page last: what it links to is there.
  files.push_back({"methods.md", introduction() + table(contents, 2) + diagram_key() + sections});
  return files;
}

}  // namespace rankfold
