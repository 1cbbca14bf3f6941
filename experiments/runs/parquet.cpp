#include "experiments/runs/parquet.h"

#include <dlfcn.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

struct Loaded {
  const ParquetLibrary* library = nullptr;
  std::string obstacle;
};

Loaded load() {
  const char* name = "librankfold_parquet.so";
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  const fs::path folder = program.parent_path();
  for (const fs::path& file :
       {folder / name, folder / "../lib/rankfold" / name, folder / ".." / name}) {
    if (!fs::exists(file, failure)) continue;
    void* handle = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (handle == nullptr) return {nullptr, ::dlerror()};
    using Entry = const ParquetLibrary* (*)();
    const auto entry = reinterpret_cast<Entry>(::dlsym(handle, "rankfold_parquet_library"));
    if (entry == nullptr || std::string(entry()->interface) != parquet_interface)
      return {nullptr, fmt::format("{} is of another version", file.string())};
    return {entry(), ""};
  }
  return {nullptr, "this build has no Apache Arrow (scripts/install-dependencies fetches it)"};
}

const Loaded& loaded() {
  static const Loaded result = load();
  return result;
}

}  // namespace

const ParquetLibrary& parquet_library() {
  if (loaded().library == nullptr) throw Error("Parquet: {}", loaded().obstacle);
  return *loaded().library;
}

std::string parquet_obstacle() {
  return loaded().obstacle;
}

}  // namespace rankfold
