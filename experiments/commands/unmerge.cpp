#include <fmt/format.h>

#include "core/base/json_value.h"
#include "core/base/text.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

int run_unmerge(const Arguments& arguments, Context& context) {
  const std::string out = arguments.text("out");
  const UnmergeResult result =
      unmerge(arguments.text("model"), arguments.text("adapter"), out, context.registry);
  if (context.json) {
    const JsonValue document = {{"out", out},
                                {"method", result.method},
                                {"sites", result.sites},
                                {"tensors", result.tensors},
                                {"dropped", result.dropped},
                                {"kept", result.kept},
                                {"lost", result.lost},
                                {"bytes", result.bytes}};
    context.out << document.text();
    return 0;
  }
  context.out << fmt::format("{}: {} out of {}, {} written, {} of the adapter dropped\n",
                             printable(out), result.method,
                             counted(result.sites, "weight", "weights"),
                             counted(result.tensors, "tensor", "tensors"), result.dropped.size());
  if (!result.kept.empty())
    context.out << fmt::format("kept as trained, since no file has what the base model had: {}\n",
                               printable(fmt::format("{}", fmt::join(result.kept, ", ")), 500));
  if (!result.lost.empty())
    context.out << fmt::format("missing, since merge left them out: {}\n",
                               printable(fmt::format("{}", fmt::join(result.lost, ", ")), 500));
  return 0;
}

}  // namespace

Command unmerge_command() {
  return {"unmerge",
          "takes an adapter's update out of the model that merge wrote",
          {},
          {{"model", "DIR", "", "the merged model", true},
           {"adapter", "DIR", "", "the adapter that was merged", true},
           {"out", "DIR", "", "new model folder", true}},
          "",
          run_unmerge,
          {}};
}

}  // namespace rankfold
