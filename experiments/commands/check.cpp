#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "core/contract/check_method.h"
#include "core/device/device.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"
#include "experiments/models/check_model.h"
#include "experiments/tokenizers/tokenizer_cases.h"
#include "experiments/training/check_training.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

struct Finding {
  std::string name;
  std::map<std::string, double> errors;
  std::vector<std::string> failures;
};

double worst_of(const std::map<std::string, double>& errors) {
  double worst = 0;
  for (const auto& [what, error] : errors) worst = larger_error(worst, error);
  return worst;
}

/// JSON has null for an error that is not a number. Where nothing was compared nothing has passed.
int report(Finding finding, Context& context) {
  if (finding.errors.empty() && finding.failures.empty())
    finding.failures.emplace_back("nothing was compared");
  const double worst = worst_of(finding.errors);
  if (context.json) {
    const JsonValue document = {
        {"case", finding.name}, {"errors", finding.errors}, {"worst", worst}};
    context.out << document.text();
  } else {
    std::vector<std::vector<std::string>> rows = {{"compared", "largest relative error"}};
    for (const auto& [what, error] : finding.errors)
      rows.push_back({what, fmt::format("{:.2e}", error)});
    write_table(context.out, rows, {1});
    context.out << fmt::format("{}: worst {:.2e}, {}\n", finding.name, worst,
                               finding.failures.empty() ? "passed" : "failed");
  }
  for (const std::string& failure : finding.failures)
    context.err << fmt::format("{}: {}\n", finding.name, printable(failure));
  return finding.failures.empty() ? 0 : 1;
}

/// The cases of a method: the folder itself, or those below it.
std::vector<fs::path> find_cases(const fs::path& folder, const std::string& method) {
  std::error_code failure;
  if (!fs::is_directory(folder, failure))
    throw Error("--golden {}: found no such folder; expected one with case.json",
                printable(folder.string()));
  if (fs::exists(folder / "case.json", failure)) return {folder};
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(folder, failure))
    if (fs::exists(entry.path() / "case.json", failure) && golden_method(entry.path()) == method)
      cases.push_back(entry.path());
  std::ranges::sort(cases);
  if (cases.empty())
    throw Error("--golden {}: found no case of {}; expected case.json and tensors.safetensors",
                printable(folder.string()), method);
  return cases;
}

int check_method(const Arguments& arguments, Context& context) {
  const Method& method = context.registry.at(arguments.positional(0));
  if (!arguments.has("golden")) {
    const CheckReport result = check_contract(method);
    return report({method.name, result.errors, result.failures}, context);
  }
  const std::vector<fs::path> cases = find_cases(arguments.text("golden"), method.name);
  Finding all{cases.size() == 1 ? cases.front().filename().string() : method.name, {}, {}};
  for (const fs::path& folder : cases) {
    const CheckReport result = check_golden(method, folder);
    const std::string prefix = cases.size() == 1 ? "" : folder.filename().string() + "/";
    for (const auto& [what, error] : result.errors) all.errors[prefix + what] = error;
    for (const std::string& failure : result.failures) all.failures.push_back(prefix + failure);
  }
  return report(all, context);
}

int check_model_folder(const Arguments& arguments, Context& context) {
  const double tolerance = arguments.number("tolerance", 1e-4);
  const fs::path folder = arguments.positional(0);
  std::optional<fs::path> io;
  if (arguments.has("io")) io = arguments.text("io");
  const ModelIoReport result = check_model(folder, io, make_cpu_device());
  for (const std::string& note : result.notes) context.err << note << '\n';
  if (!result.skipped.empty())
    context.err << fmt::format("{} without a counterpart here: {}\n",
                               counted(result.skipped.size(), "tensor", "tensors"),
                               printable(join(result.skipped, ", "), 300));
  Finding finding{folder.string(), result.errors, {}};
  for (const auto& [what, error] : result.errors)
    if (!(error <= tolerance))
      finding.failures.push_back(fmt::format("{}: relative error {:.2e}, expected at most {:.0e}",
                                             what, error, tolerance));
  return report(finding, context);
}

int check_training_folder(const Arguments& arguments, Context& context) {
  const double tolerance = arguments.number("tolerance", 1e-4);
  const std::string folder = arguments.positional(0);
  const TrainingTraceReport result =
      check_training(folder, make_cpu_device(), arguments.text("precision", "f32"));
  for (const std::string& note : result.notes) context.err << note << '\n';
  const bool passed = result.worst <= tolerance;
  if (context.json) {
    const JsonValue document = {{"case", folder},
                                {"losses", result.losses},
                                {"expected", result.expected},
                                {"norms", result.norms},
                                {"expected_norms", result.expected_norms},
                                {"worst", result.worst}};
    context.out << document.text();
  } else {
    const auto six = [](double number) { return fmt::format("{:.6f}", number); };
    std::vector<std::vector<std::string>> rows = {{"step", "loss", "expected", "norm", "expected"}};
    for (std::size_t step = 0; step < result.losses.size(); ++step)
      rows.push_back(
          {std::to_string(step), six(result.losses[step]), six(result.expected[step]),
           six(result.norms[step]),
           result.expected_norms.empty() ? "unknown" : six(result.expected_norms[step])});
    write_table(context.out, rows, {0, 1, 2, 3, 4});
    context.out << fmt::format("{}: worst {:.2e}, {}\n", printable(folder), result.worst,
                               passed ? "passed" : "failed");
  }
  if (!passed)
    context.err << fmt::format(
        "{}: relative error {:.2e} of a loss or norm, expected at most {:.0e}\n", printable(folder),
        result.worst, tolerance);
  return passed ? 0 : 1;
}

int check_tokenizer(const Arguments& arguments, Context& context) {
  const std::string file = arguments.positional(0);
  const auto tokenizer = load_tokenizer(file);
  const std::vector<TokenizerCase> cases = load_tokenizer_cases(arguments.text("cases"));
  if (cases.empty()) throw Error("--cases {}: found no cases", printable(arguments.text("cases")));
  const TokenizerComparison result = compare(*tokenizer, cases);
  const double share = static_cast<double>(result.mismatches) / static_cast<double>(result.cases);
  Finding finding{file, {{"ids", share}}, {}};
  if (result.mismatches > 0)
    finding.failures.push_back(fmt::format("{} of {} cases differ; the first: {}",
                                           result.mismatches, result.cases, result.first_mismatch));
  else
    context.err << counted(result.cases, "case", "cases") << " agree\n";
  return report(finding, context);
}

}  // namespace

Command check_method_command() {
  return {"check method",
          "the contract of a method, or comparison with golden tensors",
          {{"NAME"}},
          {{"golden", "DIR", "", "a case (case.json, tensors.safetensors) or a folder of cases"}},
          "",
          check_method,
          {}};
}

Command check_model_command() {
  return {
      "check model",
      "a model folder against itself, or against reference data",
      {{"DIR"}},
      {{"io", "FILE", "", "safetensors: input_ids, attention_mask, hidden.k, logits, loss, grad.*"},
       {"tolerance", "X", "1e-4", "relative error from which on a tensor differs"}},
      "Without --io sequences are run packed and one by one, and compared.",
      check_model_folder,
      {}};
}

Command check_training_command() {
  return {"check training",
          "steps of training beside those of huggingface/peft",
          {{"DIR"}},
          {{"tolerance", "X", "1e-4", "relative error of a loss or norm from which on it differs"},
           {"precision", "TYPE", "f32", "of products with frozen weights: f32 or bf16"}},
          "DIR: a model folder with io.safetensors (the batch of every step), trace.safetensors "
          "(start values of LoRA's or IA3's factors and of the head; without it all weights train) "
          "and trace.json (losses, gradient_norms, learning_rate). LoRA with alpha "
          "8, AdamW with rate 1e-2 and decay 0.01, gradients clipped to 1, 3 steps of warm-up.",
          check_training_folder,
          {}};
}

Command check_tokenizer_command() {
  return {"check tokenizer",
          "a tokenizer against another's ids",
          {{"FILE"}},
          {{"cases", "FILE", "", "JSON: [{text, pair, max_length, ids, type_ids}]", true}},
          "FILE: tokenizer.json, vocab.txt, vocab.json, a SentencePiece model or a model folder. "
          "The error is the share of cases that "
          "differ.",
          check_tokenizer,
          {}};
}

}  // namespace rankfold
