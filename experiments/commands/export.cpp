#include <fmt/core.h>

#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/json_value.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/adapter_files/peft_tokens_folder.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

/// What PEFT finds the base model by: as it was given, else the model's folder.
std::string base_name(const Arguments& arguments) {
  const std::string model = arguments.text("model");
  if (arguments.has("base") || model.empty()) return arguments.text("base");
  const std::filesystem::path path = std::filesystem::absolute(model).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).string();
}

int run_export(const Arguments& arguments, Context& context) {
  const std::string form = arguments.text("as"), out = arguments.text("out");
  if (form != "lora" && form != "peft" && form != "native")
    throw UsageError("--as is '{}', expected lora, peft or native", form);
  if (arguments.has("base") && form == "native")
    throw UsageError("--base goes with --as lora or peft, not with {}", form);
  const LoneAdapter source = load_lone_adapter(arguments.text("adapter"), arguments.text("model"),
                                               context.registry, make_cpu_device());
  JsonValue document = {{"out", out},
                        {"as", form},
                        {"method", source.description.method},
                        {"sites", source.adapter->stack().sites.size()}};
  if (const std::string note = left_out_note(source.untrained); !note.empty())
    context.err << note << '\n';
  std::string text;
  const std::string base = form == "native" ? "" : base_name(arguments);
  const std::string& method = source.description.method;
  if (form != "native") {
    if (base.empty())
      context.err << "base_model_name_or_path is null: neither --base nor --model was given\n";
    document["base"] = base.empty() ? JsonValue() : JsonValue(base);
  }
  if (form == "lora") {
    const PeftExport result = export_as_lora(source, context.registry, out, base);
    document["ranks"] = result.ranks;
    document["parameters"] = result.parameters;
    text = fmt::format("{} as lora of rank {}, {} parameters, {}", method, result.largest_rank,
                       result.parameters, counted(result.sites, "weight", "weights"));
  } else if (form == "peft" && context.registry.at(method).entry != Entry::weights) {
    const PeftTokens result = export_as_tokens(source, out, base);
    document["tokens"] = result.tokens;
    document["parameters"] = result.parameters;
    text =
        fmt::format("{} of {}, {} parameters", method,
                    counted(result.tokens, "virtual token", "virtual tokens"), result.parameters);
  } else if (form == "peft") {
    const PeftExport result = export_as_ia3(source, out, base);
    document["parameters"] = result.parameters;
    text = fmt::format("{}, {} parameters, {}", method, result.parameters,
                       counted(result.sites, "weight", "weights"));
  } else {
    AtomicFolder folder(out);
    save_adapter(folder.path(), source);
    folder.commit();
    text = fmt::format("{} on {}", source.description.method,
                       counted(source.adapter->stack().sites.size(), "weight", "weights"));
  }
  if (context.json)
    context.out << document.text();
  else
    context.out << fmt::format("{}: {}\n", out, text);
  return 0;
}

}  // namespace

Command export_command() {
  return {
      "export",
      "writes an adapter as one that PEFT loads, or PEFT's and LoTR's as ours",
      {},
      {{"adapter", "DIR", "", "a run's folder adapter/, or one of PEFT or LoTR", true},
       {"as", "FORM", "",
        "lora: exact, of the smallest sufficient rank; peft: ia3, prompt and prefix as PEFT has "
        "them; native",
        true},
       {"out", "DIR", "", "new folder", true},
       {"model", "DIR", "",
        "the base model: for PEFT's and LoTR's folders, and where the update depends on its "
        "weights"},
       {"base", "NAME", "",
        "lora, peft: the base model's Hub id or path, for PEFT; default: the path of --model"}},
      "",
      run_export,
      {}};
}

}  // namespace rankfold
