#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "experiments/commands/options.h"

namespace rankfold {

/// What a command works with besides its arguments.
struct Context {
  std::ostream& out;  ///< results
  std::ostream& err;  ///< progress and messages
  const Registry& registry;
  std::vector<std::string> plugins;  ///< files given by --plugin
  bool json = false;
};

/// One command of the command line. --help, --json and --plugin are added to every table.
struct Command {
  std::string name;  ///< "count", "check method"
  std::string summary;
  std::vector<Positional> positionals;
  std::vector<Option> options;
  std::string notes;  ///< printed below the options of --help
  /// Returns the exit status; throws Error.
  std::function<int(const Arguments&, Context&)> run;
  /// Options that only the words of this call bring (a sweep's `--lotr.stack`).
  std::function<std::vector<Option>(const std::vector<std::string>&, const Registry&)> more_options;
};

Command methods_command();
Command models_command();
Command count_command();
Command sweep_command();
Command finetune_command();
Command rerun_command();
Command evaluate_command();
Command merge_command();
Command unmerge_command();
Command export_command();
Command compress_command();
Command diagnose_command();
Command fit_command();
Command collect_command();
Command figure_command();
Command table_command();
Command report_command();
Command bench_layer_command();
Command bench_step_command();
Command bench_fit_command();
Command check_method_command();
Command check_model_command();
Command check_training_command();
Command generate_command();
Command check_tokenizer_command();
Command doctor_command();

/// In the order of --help.
std::vector<Command> commands();

/// The whole program but for the process: `arguments` are those behind the program's name. Results
/// go to `out`, messages to `err`; nothing is thrown. Returns the exit status: 0 done, 1 failed,
/// 2 wrong usage.
int run_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace rankfold
