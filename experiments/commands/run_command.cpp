#include <algorithm>
#include <cstdlib>
#include <new>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "decompositions/registry.h"
#include "experiments/commands/command.h"
#include "experiments/commands/plugins.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

using Words = std::vector<std::string>;

bool asks_for_help(const Words& words) {
  return std::ranges::any_of(
      words, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

void add_common_options(Command& command) {
  command.options.push_back({"json", "", "", "print one JSON document"});
  command.options.push_back({"plugin", "FILE", "",
                             "a shared library with further methods; repeatable", false, false,
                             true});
  command.options.push_back({"help", "", "", "this text"});
}

void print_overview(const std::vector<Command>& all, const std::string& group, std::ostream& out) {
  out << "rankfold " << version()
      << ": low-rank tensor adaptation of frozen networks, compared fairly\n\n"
      << "usage: rankfold " << (group.empty() ? "COMMAND" : group + " WHAT") << " [options]\n\n";
  std::vector<Words> rows;
  for (const Command& command : all) rows.push_back({"  " + command.name, command.summary});
  write_table(out, rows);
  out << "\n`rankfold COMMAND --help` or `rankfold help COMMAND` explains a command. All take "
         "--json "
         "and\n--plugin FILE. Exit status: 0 done, 2 wrong usage (what the command line says), 1 "
         "failed (what\nstands in a file or folder, or came of the run).\n";
}

void print_help(const Command& command, std::ostream& out) {
  out << "rankfold " << command.name;
  for (const Positional& positional : command.positionals)
    out << (positional.required ? " " + positional.name : " [" + positional.name + "]");
  out << " [options]\n\n" << command.summary << "\n\n" << describe_options(command.options);
  if (!command.notes.empty()) out << '\n' << command.notes << '\n';
}

/// The commands whose name begins with the word: one, or a group such as "check".
std::vector<Command> matching(const std::vector<Command>& all, const std::string& word) {
  std::vector<Command> found;
  for (const Command& command : all)
    if (command.name == word || command.name.starts_with(word + " ")) found.push_back(command);
  return found;
}

int run_one(Command command, const Words& words, std::ostream& out, std::ostream& err) {
  Registry registry = builtin_registry();
  add_common_options(command);
  // Options of a plug-in's methods exist once it is loaded, so its files are looked for first.
  Words plugins;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with("--plugin=")) plugins.push_back(words[i].substr(9));
    if (words[i] == "--plugin" && i + 1 < words.size() && !words[i + 1].starts_with("--"))
      plugins.push_back(words[i + 1]);
  }
  if (!asks_for_help(words))
    for (const std::string& file : plugins) load_plugin(file, registry);
  if (command.more_options)
    for (Option& option : command.more_options(words, registry))
      command.options.push_back(std::move(option));
  if (asks_for_help(words)) {
    print_help(command, out);
    return 0;
  }
  const Arguments arguments =
      parse_arguments(command.name, command.options, command.positionals, words);
  Context context{out, err, registry, plugins, arguments.has("json")};
  return command.run(arguments, context);
}

int dispatch(const Words& words, std::ostream& out, std::ostream& err) {
  const std::vector<Command> all = commands();
  if (words.empty()) {
    print_overview(all, "", err);
    return 2;
  }
  const std::string& first = words.front();
  if (first == "help" && words.size() > 1) {
    Words asked(words.begin() + 1, words.end());
    asked.push_back("--help");
    return dispatch(asked, out, err);
  }
  if (first == "--help" || first == "-h" || first == "help") {
    print_overview(all, "", out);
    return 0;
  }
  if (first == "--version") {
    out << "rankfold " << version() << '\n';
    return 0;
  }
  const std::vector<Command> found = matching(all, first);
  Words names;
  if (found.empty()) {
    for (const Command& command : all) {
      const std::string name = split(command.name, ' ').front();
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    throw unknown_name("command", first, names);
  }
  if (found.front().name == first)
    return run_one(found.front(), {words.begin() + 1, words.end()}, out, err);
  if (words.size() > 1 && (words[1] == "--help" || words[1] == "-h")) {
    print_overview(found, first, out);
    return 0;
  }
  const std::string second = words.size() > 1 ? words[1] : "";
  for (const Command& command : found)
    if (command.name == first + " " + second)
      return run_one(command, {words.begin() + 2, words.end()}, out, err);
  for (const Command& command : found) names.push_back(command.name.substr(first.size() + 1));
  if (second.empty())
    throw UsageError("{}: what to {} is missing; expected {}", first, first, join(names, ", "));
  throw unknown_name("thing to " + first, second, names);
}

}  // namespace

std::vector<Command> commands() {
  return {methods_command(),         models_command(),      count_command(),
          sweep_command(),           finetune_command(),    evaluate_command(),
          rerun_command(),           generate_command(),    merge_command(),
          unmerge_command(),         export_command(),      compress_command(),
          diagnose_command(),        fit_command(),         collect_command(),
          figure_command(),          table_command(),       report_command(),
          bench_layer_command(),     bench_step_command(),  bench_fit_command(),
          check_method_command(),    check_model_command(), check_training_command(),
          check_tokenizer_command(), doctor_command()};
}

int run_command(const Words& arguments, std::ostream& out, std::ostream& err) {
  int status = 1;
  try {
    status = dispatch(arguments, out, err);
  } catch (const Error& error) {
    err << "rankfold: " << printable(error.what()) << '\n';
    status = error.exit_status();
  } catch (const std::bad_alloc&) {
    err << fmt::format("rankfold {}: the memory does not suffice; the process has {:.0f} MiB\n",
                       arguments.empty() ? "" : printable(arguments.front(), 80),
                       peak_memory_mib());
  } catch (const std::exception& error) {
    err << "rankfold: " << printable(error.what()) << '\n';
  }
  out.flush();
  if (!out && status == 0) {
    err << "rankfold: standard output cannot be written\n";
    status = 1;
  }
  return status;
}

}  // namespace rankfold
