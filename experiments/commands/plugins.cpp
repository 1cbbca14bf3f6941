#include "experiments/commands/plugins.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "core/plugin.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Loading a file that was cut short ends the process (SIGBUS): the loader maps what the headers
/// promise.
void check_whole(const std::string& file) {
  std::error_code failure;
  const std::uintmax_t size = fs::file_size(file, failure);
  std::ifstream stream(file, std::ios::binary);
  ElfW(Ehdr) header = {};
  stream.read(reinterpret_cast<char*>(&header), sizeof header);
  if (failure || !stream || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_phentsize != sizeof(ElfW(Phdr)))
    throw Error("--plugin {}: found no shared library, expected one for this machine",
                printable(file));
  std::uintmax_t needed = 0;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment = {};
    stream.seekg(static_cast<std::streamoff>(header.e_phoff + i * sizeof segment));
    stream.read(reinterpret_cast<char*>(&segment), sizeof segment);
    std::uintmax_t end = 0;
    if (!stream || __builtin_add_overflow(segment.p_offset, segment.p_filesz, &end))
      end = UINTMAX_MAX;
    if (segment.p_type == PT_LOAD || !stream) needed = std::max(needed, end);
  }
  if (needed > size)
    throw Error("--plugin {}: found {} bytes, expected more: the library was cut short",
                printable(file), size);
}

void* open_library(const std::string& file) {
  std::error_code failure;
  if (!fs::is_regular_file(file, failure))
    throw Error("--plugin {}: found no such file, expected a shared library", printable(file));
  check_whole(file);
  // With a slash in it the name is a path, never searched for.
  void* library = ::dlopen(fs::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Error("--plugin {}: cannot be loaded: {}", printable(file), printable(::dlerror()));
  return library;
}

template <class Function>
Function* find_function(void* library, const std::string& file, const char* name,
                        const char* expected) {
  void* symbol = ::dlsym(library, name);
  if (symbol == nullptr)
    throw Error("--plugin {}: found no function {}, expected {} (core/plugin.h)", printable(file),
                name, expected);
  return reinterpret_cast<Function*>(symbol);
}

std::string version_text(int version) {
  return fmt::format("{} (layout {})", version / 1'000'000, version % 1'000'000);
}

/// Calls; what is thrown and is no Error becomes one that says where.
template <class Function>
decltype(auto) call_guarded(const std::string& where, Function&& function) {
  try {
    return function();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error("{} threw '{}', expected nothing thrown but rankfold::Error", where,
                printable(error.what()));
  } catch (...) {
    throw Error("{} threw what is no std::exception, expected nothing thrown but rankfold::Error",
                where);
  }
}

template <class Result, class... Arguments>
void guard(std::function<Result(Arguments...)>& function, const std::string& where) {
  if (!function) return;
  function = [inner = std::move(function), where](Arguments... arguments) -> Result {
    return call_guarded(where, [&]() -> Result { return inner(arguments...); });
  };
}

void guard_method(Method& method, const std::string& file) {
  const std::string prefix = fmt::format("--plugin {}: [{}] ", printable(file), method.name);
  guard(method.rank_modes, prefix + "rank_modes");
  guard(method.rank_limit, prefix + "rank_limit");
  guard(method.notes, prefix + "notes");
  guard(method.declare, prefix + "declare");
  method.declare = [inner = std::move(method.declare), where = prefix + "start"](
                       const Site& site, const Stack& stack, const MethodSettings& settings) {
    Declaration declaration = inner(site, stack, settings);
    guard(declaration.start, where);
    return declaration;
  };
}

void guard_wrapper(Wrapper& wrapper, const std::string& file) {
  const std::string prefix = fmt::format("--plugin {}: [{}] ", printable(file), wrapper.name);
  guard(wrapper.wrap, prefix + "wrap");
  wrapper.wrap = [inner = std::move(wrapper.wrap), where = prefix + "start"](
                     Declaration& declaration, const Site& site, const MethodSettings& settings) {
    inner(declaration, site, settings);
    guard(declaration.start, where);
  };
}

template <class Entry>
bool holds(const std::vector<Entry>& entries, const std::string& name) {
  return std::ranges::find(entries, name, &Entry::name) != entries.end();
}

}  // namespace

void load_plugin(const std::string& file, Registry& registry) {
  void* library = open_library(file);
  const int version = find_function<int()>(
      library, file, "rankfold_plugin_version",
      "extern \"C\" int rankfold_plugin_version() { return rankfold::plugin_version(); }")();
  if (version != plugin_version())
    throw Error(
        "--plugin {}: found interface {}, expected {} of rankfold {}; compile it with the headers "
        "and the compiler of this rankfold",
        printable(file), version_text(version), version_text(plugin_version()),
        rankfold::version());
  const auto register_methods =
      find_function<void(Registry&)>(library, file, "rankfold_register",
                                     "extern \"C\" void rankfold_register(rankfold::Registry&)");
  Registry extended = registry, result = registry;
  try {
    call_guarded("rankfold_register", [&] { register_methods(extended); });
    for (Wrapper wrapper : extended.wrappers())
      if (!holds(registry.wrappers(), wrapper.name)) {
        guard_wrapper(wrapper, file);
        result.add(std::move(wrapper));
      }
    for (Method method : extended.methods())
      if (!holds(result.methods(), method.name)) {
        guard_method(method, file);
        result.add(std::move(method));
      }
  } catch (const Error& error) {
    throw Error("--plugin {}: {}", printable(file), error.what());
  }
  if (result.methods().size() == registry.methods().size())
    throw Error("--plugin {}: registered nothing, expected a method or a wrapper", printable(file));
  registry = std::move(result);
}

}  // namespace rankfold
