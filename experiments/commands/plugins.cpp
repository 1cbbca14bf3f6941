#include "experiments/commands/plugins.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"
#include "core/text.h"

namespace rankfold {

void load_plugin(const std::string& file, Registry& registry) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure))
    throw Error("--plugin {}: found no such file; expected a shared library", printable(file));
  // With a slash in it the name is a path, never searched for.
  const std::string path = std::filesystem::absolute(file).string();
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Error("--plugin {}: cannot be loaded: {}", printable(file), printable(::dlerror()));
  void* symbol = ::dlsym(library, "rankfold_register");
  if (symbol == nullptr)
    throw Error(
        "--plugin {}: found no function rankfold_register; expected extern \"C\" void "
        "rankfold_register(rankfold::Registry&)",
        printable(file));
  try {
    reinterpret_cast<void (*)(Registry&)>(symbol)(registry);
  } catch (const std::exception& error) {
    throw Error("--plugin {}: {}", printable(file), printable(error.what()));
  }
}

}  // namespace rankfold
