#include <fmt/core.h>

#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/json_value.h"
#include "experiments/adapter_files/peft_folder.h"
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
  if (form != "lora" && form != "ia3" && form != "native")
    throw UsageError("--as is '{}', expected lora, ia3 or native", form);
  if (arguments.has("base") && form == "native")
    throw UsageError("--base goes with --as lora and ia3, not with {}", form);
  const LoneAdapter source = load_lone_adapter(arguments.text("adapter"), arguments.text("model"),
                                               context.registry, make_cpu_device());
  JsonValue document = {{"out", out},
                        {"as", form},
                        {"method", source.description.method},
                        {"sites", source.adapter->stack().sites.size()}};
  if (const std::string note = left_out_note(source.untrained); !note.empty())
    context.err << note << '\n';
  std::string text;
  if (form != "native") {
    const std::string base = base_name(arguments);
    if (base.empty())
      context.err << "base_model_name_or_path is null: neither --base nor --model was given\n";
    const bool lora = form == "lora";
    const PeftExport result = lora ? export_as_lora(source, context.registry, out, base)
                                   : export_as_ia3(source, out, base);
    document["base"] = base.empty() ? JsonValue() : JsonValue(base);
    if (lora) document["ranks"] = result.ranks;
    document["parameters"] = result.parameters;
    text = fmt::format("{} as {}{}, {} parameters, {}", source.description.method, form,
                       lora ? fmt::format(" of rank {}", result.largest_rank) : "",
                       result.parameters, counted(result.sites, "weight", "weights"));
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
  return {"export",
          "writes an adapter as a LoRA or IA3 that PEFT loads, or PEFT's and LoTR's as ours",
          {},
          {{"adapter", "DIR", "", "a run's folder adapter/, or one of PEFT or LoTR", true},
           {"as", "FORM", "",
            "lora: exact, of the smallest sufficient rank; ia3: of that method; native", true},
           {"out", "DIR", "", "new folder", true},
           {"model", "DIR", "",
            "the base model: for PEFT's and LoTR's folders, and where the update depends on its "
            "weights"},
           {"base", "NAME", "",
            "lora, ia3: the base model's Hub id or path, for PEFT; default: the path of --model"}},
          "",
          run_export,
          {}};
}

}  // namespace rankfold
