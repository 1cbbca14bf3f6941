#include <fmt/core.h>

#include "core/base/json_value.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

int run_merge(const Arguments& arguments, Context& context) {
  const std::string out = arguments.text("out");
  const MergeResult result =
      merge(arguments.text("model"), arguments.text("adapter"), out, context.registry);
  if (const std::string note = left_out_note(result.left_out); !note.empty())
    context.err << note << '\n';
  if (context.json) {
    const JsonValue document = {{"out", out},
                                {"method", result.method},
                                {"sites", result.sites},
                                {"tensors", result.tensors},
                                {"bytes", result.bytes},
                                {"left_out", result.left_out}};
    context.out << document.text();
  } else {
    context.out << fmt::format("{}: {} into {}, {} written\n", out, result.method,
                               counted(result.sites, "weight", "weights"),
                               counted(result.tensors, "tensor", "tensors"));
  }
  return 0;
}

}  // namespace

Command merge_command() {
  return {"merge",
          "folds an adapter's update into its model: a plain model folder",
          {},
          {{"model", "DIR", "", "the adapter's base model", true},
           {"adapter", "DIR", "", "a run's folder adapter/, or one of huggingface/peft", true},
           {"out", "DIR", "", "new model folder", true}},
          "",
          run_merge,
          {}};
}

}  // namespace rankfold
