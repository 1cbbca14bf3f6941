#include "core/fit/fit.h"

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <type_traits>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_folder.h"
#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/base/machine.h"
#include "core/base/progress.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/fit/input_file.h"
#include "core/fit/update_file.h"
#include "core/fit/working_memory.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

struct FitRequest {
  std::string input, minus, data, out;
  std::size_t heads = 1, threads = 1;
  std::string rank;
  double ridge = usual_ridge;
  FitSettings fit;
};

std::size_t count_or_zero(const Arguments& arguments, const std::string& name) {
  return arguments.text(name) == "0" ? 0 : arguments.count(name, 0);
}

void print_text(const json& document, std::ostream& out) {
  const bool has_rank = !document["rank"].is_null();
  const bool is_weighted = document.contains("weighted_error");
  const auto text = [](const json& error) {
    return std::isfinite(error.get<double>()) ? fmt::format("{:.6g}", error.get<double>())
                                              : std::string("none (the updates are zero)");
  };
  std::string errors = "relative error " + text(document["relative_error"]);
  if (is_weighted)
    errors =
        fmt::format("weighted error {} (of the plain fit {}), {}", text(document["weighted_error"]),
                    text(document["unweighted_fit"]), errors);
  out << fmt::format("{}{}: {}, {}; {}; {:.3f} s\n\n", document["method"].get<std::string>(),
                     has_rank ? " rank " + document["rank"].get<std::string>() : "",
                     counted(document["sites"].size(), "matrix", "matrices"),
                     counted(document["parameters"].get<std::size_t>(), "parameter", "parameters"),
                     errors, document["seconds"].get<double>());
  std::vector<std::vector<std::string>> rows = {{"site", "relative error"}};
  if (is_weighted) rows[0].emplace_back("weighted error");
  for (const json& site : document["sites"]) {
    rows.push_back({printable(site["name"].get<std::string>()), text(site["relative_error"])});
    if (is_weighted) rows.back().push_back(text(site["weighted_error"]));
  }
  write_table(out, rows, {1, 2});
}

template <class T>
void write_factors(const fs::path& folder, const Method& method, const Adapter<T>& adapter,
                   const json& document) {
  std::vector<TensorToWrite> tensors;
  for (const Parameter<T>& parameter : adapter.parameters())
    if (parameter.is_stored())
      tensors.push_back(make_tensor(parameter.name, parameter.shape, parameter.value.span()));
  write_safetensors(folder / "factors.safetensors", tensors,
                    {{"format", "rankfold"}, {"method", method.name}});
  write_atomically(folder / "fit.json", json_text(document));
}

template <class T>
FittedUpdates<T> make_fit(const Method& method, const Stack& stack, const MethodSettings& settings,
                          const UpdateSource<T>& source,
                          [[maybe_unused]] const std::optional<InputMetrics>& metrics,
                          const FitSettings& fit,
                          const std::function<void(std::size_t)>& progress) {
  if constexpr (std::is_same_v<T, double>)
    if (metrics)
      return fit_weighted_updates(method, stack, settings, source, *metrics, fit, make_cpu_device(),
                                  progress);
  return fit_updates<T>(method, stack, settings, source, fit, make_cpu_device(), progress);
}

template <class T>
int run_in(const UpdateFile& file, const Method& method, const MethodSettings& settings,
           const FitRequest& request, Context& context) {
  std::optional<AtomicFolder> folder;
  if (!request.out.empty()) folder.emplace(request.out);
  const auto source = file.open<T>(kept_input_bytes);
  const Stack& stack = file.stack();
  std::optional<InputMetrics> metrics;
  if (!request.data.empty()) metrics = read_inputs(request.data, stack, request.ridge);
  const auto start = Clock::now();
  Progress bar("fit", stack.sites.size(), standard_error_is_terminal());
  const auto progress = [&](std::size_t done) {
    bar.update(done);
    const bool took_long = seconds_since(start) > 2;
    if (done == stack.sites.size() && took_long) bar.finish();
  };
  const FittedUpdates<T> fitted =
      make_fit<T>(method, stack, settings, *source, metrics, request.fit, progress);
  const double seconds = seconds_since(start);
  const FitReport& report = fitted.report;
  json document = {{"method", method.name},
                   {"rank", nullptr},
                   {"options", json(settings.options)},
                   {"alpha", nullptr},
                   {"parameters", fitted.adapter->parameter_count()},
                   {"relative_error", report.relative_error},
                   {"seconds", seconds},
                   {"threads", request.threads},
                   {"starts", report.starts},
                   {"iterations", report.iterations},
                   {"convergence", report.convergence},
                   {"sites", json::array()}};
  if (method.has_rank) document["rank"] = request.rank;
  if (method.alpha != 0) document["alpha"] = settings.alpha;
  for (std::size_t i = 0; i < stack.sites.size(); ++i)
    document["sites"].push_back(
        {{"name", stack.sites[i].name}, {"relative_error", report.site_errors[i]}});
  if (report.weighted) {
    document["weighted_error"] = report.weighted->relative_error;
    document["unweighted_fit"] = report.weighted->unweighted_fit;
    for (std::size_t i = 0; i < stack.sites.size(); ++i)
      document["sites"][i]["weighted_error"] = report.weighted->site_errors[i];
  }
  if (folder) {
    write_factors<T>(folder->path(), method, *fitted.adapter, document);
    folder->commit();
  }
  if (context.json)
    context.out << json_text(document);
  else
    print_text(document, context.out);
  return 0;
}

int run_fit(const Arguments& arguments, Context& context) {
  const Method& method = context.registry.at(arguments.text("method"));
  FitRequest request{.input = arguments.text("input"),
                     .minus = arguments.text("minus"),
                     .data = arguments.text("data"),
                     .out = arguments.text("out"),
                     .rank = arguments.text("rank"),
                     .fit = {}};
  for (const char* name : {"rank", "threads", "seed"})
    if (arguments.has(name)) check_setting(name, arguments.text(name));
  if (arguments.has("starts")) request.fit.starts = arguments.count("starts", 1);
  if (arguments.has("iterations")) request.fit.iterations = count_or_zero(arguments, "iterations");
  request.fit.tolerance = arguments.number("tolerance", request.fit.tolerance);
  if (request.fit.tolerance < 0)
    throw UsageError("--tolerance is {}; expected 0 or more", arguments.text("tolerance"));
  request.ridge = arguments.number("ridge", request.ridge);
  if (request.ridge < least_ridge)
    throw UsageError("--ridge is {}; expected {} or more", arguments.text("ridge"), least_ridge);
  if (arguments.has("ridge") && request.data.empty())
    throw UsageError("--ridge goes with --data, which is missing");
  request.fit.seed = count_or_zero(arguments, "seed");
  MethodRequest wanted{.rank = request.rank,
                       .alpha = {},
                       .preset = arguments.text("preset"),
                       .options = arguments.pairs("set")};
  if (arguments.has("alpha")) wanted.alpha = arguments.number("alpha", 1);
  if (const auto heads = wanted.options.find("heads"); heads != wanted.options.end()) {
    const auto number = parse_number<std::size_t>(heads->second);
    if (!number || *number == 0)
      throw UsageError("--set heads={}: expected a positive number", printable(heads->second));
    request.heads = *number;
    wanted.options.erase(heads);
  }
  request.threads = arguments.count("threads", cpu_count());
  set_threads(static_cast<int>(request.threads));
  keep_freed_memory();

  const UpdateFile file(request.input, request.minus, request.heads);
  const MethodSettings settings = resolve_settings(method, wanted, file.stack());
  if (method.notes)
    for (const std::string& note : method.notes(file.stack(), settings))
      context.err << printable(note) << '\n';
  return file.is_double() || !request.data.empty()
             ? run_in<double>(file, method, settings, request, context)
             : run_in<float>(file, method, settings, request, context);
}

}  // namespace

Command fit_command() {
  std::vector<Option> options = {
      {"input", "FILE", "", "updates: .npy (layers, out, in) or .safetensors", true},
      {"minus", "FILE", "",
       "subtracted first: a file of the same names and shapes; the frozen weights, for methods "
       "whose "
       "update depends on them"},
      {"data", "FILE", "",
       "inputs X: fits what the updates do to them, |X (D - dW)^T|; .npy (samples, in) for all "
       "matrices or (layers, samples, in), or .safetensors with a matrix named as each, or x"},
      {"method", "NAME", "", "decomposition; `rankfold methods` lists them", true}};
  options.push_back({"ridge", "X", "1e-10",
                     "with --data: added to the inputs' second moments, in parts of their mean"});
  for (const Option& option : setting_options(false, {"rank", "alpha", "preset"}))
    options.push_back(option);
  options.push_back({"set", "KEY=VALUE", "",
                     "the method's own keys; `rankfold methods NAME` lists them; heads=H: "
                     "attention heads of every matrix",
                     false, true});
  options.push_back({"out", "DIR", "", "a new or empty folder: factors.safetensors and fit.json"});
  options.push_back({"starts", "N", "", "random starts; default: 8 on compressed data, else 1"});
  options.push_back({"tolerance", "X", "1e-6", "stop where a sweep gains less relative error"});
  options.push_back({"iterations", "N", "",
                     "sweeps at most; default: 100, or 0 behind a direct decomposition of data "
                     "that cannot be compressed"});
  options.push_back({"seed", "N", "0", "of random starts and frozen factors"});
  for (const Option& option : setting_options(false, {"threads"})) options.push_back(option);
  return {"fit",
          "fits a method's factors to a stack of updates",
          {},
          options,
          "Least squares over all matrices. Products that are trees of factors (low rank, Tucker, "
          "tensor\ntrains) are decomposed by singular values, all others by alternating least "
          "squares. The time\nis that of the fit, without reading and writing.",
          run_fit,
          {}};
}

}  // namespace rankfold
