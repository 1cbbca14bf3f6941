#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/methods_page.h"
#include "experiments/commands/text_table.h"
#include "experiments/runs/settings.h"

namespace rankfold {
namespace {

std::string values_text(const MethodOption& option) {
  std::string text = option.choices.empty() ? "" : join(option.choices, "|");
  if (!option.fallback.empty())
    text += (text.empty() ? "default " : "; default ") + option.fallback;
  return text;
}

JsonValue to_json(const Method& method) {
  JsonValue document = {{"name", method.name},
                        {"summary", method.summary},
                        {"formula", method.formula},
                        {"reference", method.reference},
                        {"rank", method.has_rank}};
  document["alpha"] = nullptr;
  if (method.alpha != 0) document["alpha"] = method.alpha;
  document["targets"] = method.default_targets.empty() ? "q,v" : method.default_targets;
  document["options"] = JsonValue::array();
  for (const MethodOption& option : method.options)
    document["options"].push_back({{"name", option.name},
                                   {"default", option.fallback},
                                   {"choices", option.choices},
                                   {"meaning", option.meaning}});
  document["presets"] = JsonValue::array();
  for (const Preset& preset : method.presets)
    document["presets"].push_back(
        {{"name", preset.name}, {"source", preset.source}, {"values", preset.values}});
  return document;
}

void print_method(const Method& method, std::ostream& out) {
  out << method.name << ": " << method.summary << "\n\n";
  out << "  formula  " << method.formula << '\n';
  out << "  paper    " << method.reference << '\n';
  out << "  rank     " << (method.has_rank ? "--rank R" : "none") << '\n';
  if (method.alpha != 0) out << "  alpha    " << canonical_number(method.alpha) << " (default)\n";
  if (!method.default_targets.empty()) out << "  targets  " << method.default_targets << '\n';
  if (!method.options.empty()) {
    out << "\nOptions (--set KEY=VALUE; in sweep files " << method.name << ".KEY = VALUE)\n";
    std::vector<std::vector<std::string>> rows;
    for (const MethodOption& option : method.options)
      rows.push_back({"  " + option.name, values_text(option), option.meaning});
    write_table(out, rows);
  }
  if (method.presets.empty()) return;
  out << "\nPresets (--preset NAME)\n";
  std::vector<std::vector<std::string>> rows;
  for (const Preset& preset : method.presets) {
    std::vector<std::string> values;
    for (const auto& [key, value] : preset.values) values.push_back(key + "=" + value);
    rows.push_back({"  " + preset.name, join(values, " "), preset.source});
  }
  write_table(out, rows);
}

int write_page(const std::filesystem::path& folder, Context& context) {
  const std::vector<PageFile> files = methods_page(context.registry);
  JsonValue document = {{"written", JsonValue::array()}};
  for (const PageFile& file : files) {
    write_atomically(folder / file.path, file.text);
    document["written"].push_back((folder / file.path).string());
  }
  if (context.json)
    context.out << document.text();
  else
    context.out << fmt::format("{}: {}\n", (folder / files.back().path).string(),
                               counted(context.registry.methods().size(), "method", "methods"));
  return 0;
}

int run_methods(const Arguments& arguments, Context& context) {
  const std::string name = arguments.positional(0);
  if (arguments.has("write")) {
    if (!name.empty())
      throw UsageError("methods {} --write: expected no NAME, the page is on all methods", name);
    return write_page(arguments.text("write"), context);
  }
  std::vector<const Method*> chosen;
  if (!name.empty())
    chosen.push_back(&context.registry.at(name));
  else
    for (const Method& method : context.registry.methods()) chosen.push_back(&method);
  if (context.json) {
    JsonValue document = {{"methods", JsonValue::array()}};
    for (const Method* method : chosen) document["methods"].push_back(to_json(*method));
    context.out << document.text();
  } else if (!name.empty()) {
    print_method(*chosen.front(), context.out);
  } else {
    for (const Method* method : chosen)
      context.out << fmt::format("{:<12}  {}\n{:14}{}\n", method->name, method->summary, "",
                                 method->formula);
    context.out << "\n`rankfold methods NAME` shows options, presets and the paper.\n";
  }
  return 0;
}

}  // namespace

Command methods_command() {
  return {"methods",
          "lists the registered methods: formula, options, presets, paper",
          {{"NAME", false}},
          {{"write", "DIR", "",
            "write a page on all methods instead: DIR/methods.md and DIR/methods/NAME.svg"}},
          "",
          run_methods,
          {}};
}

}  // namespace rankfold
