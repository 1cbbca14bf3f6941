#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

class Search {
 public:
  explicit Search(const std::function<bool(const std::string&)>& wanted) : wanted_(wanted) {}

  FileSearch run(const fs::path& folder) {
    Folder opened(::opendir(folder.c_str()), ::closedir);
    if (!opened)
      throw Error("{}: cannot be searched: {}", printable(folder.string()), system_reason(errno));
    // A list instead of recursion: folders may be nested deeper than the stack.
    std::error_code failure;
    root_ = fs::canonical(folder, failure);
    std::vector<fs::path> folders;
    look_through(folder, opened.get(), folders);
    while (!folders.empty() || !links_.empty()) {
      // A folder that a link names too keeps its own name: links come last, in order.
      if (folders.empty()) folders.push_back(links_.extract(links_.begin()).value());
      const fs::path next = std::move(folders.back());
      folders.pop_back();
      opened.reset(::opendir(next.c_str()));
      if (opened)
        look_through(next, opened.get(), folders);
      else
        pass_over(next, system_reason(errno));
    }
    std::ranges::sort(found_.files);
    std::ranges::sort(found_.passed_over);
    return std::move(found_);
  }

 private:
  bool leads_above(const fs::path& link) const {
    std::error_code failure;
    const fs::path target = fs::canonical(link, failure);
    return !failure &&
           std::mismatch(target.begin(), target.end(), root_.begin(), root_.end()).first ==
               target.end() &&
           target != root_;
  }

  void pass_over(const fs::path& path, const std::string& why) {
    found_.passed_over.push_back(printable(path.string()) + ": " + why);
  }

  void look_through(const fs::path& folder, DIR* opened, std::vector<fs::path>& folders) {
    struct stat status {};
    if (::fstat(::dirfd(opened), &status) != 0) return pass_over(folder, system_reason(errno));
    if (!seen_.emplace(status.st_dev, status.st_ino).second) return;
    while (const dirent* entry = ::readdir(opened)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const bool is_wanted = wanted_(name);
      if (!is_wanted && entry->d_type == DT_REG) continue;
      const fs::path path = folder / name;
      if (::stat(path.c_str(), &status) != 0) {
        // A link without a wanted name may be meant for a folder.
        const int error = errno;
        if (is_wanted || entry->d_type == DT_LNK) pass_over(path, system_reason(error));
      } else if (S_ISDIR(status.st_mode)) {
        std::error_code failure;
        if (!fs::is_symlink(path, failure))
          folders.push_back(path);
        else if (leads_above(path))
          pass_over(path, "links to a folder that holds this one");
        else
          links_.insert(path);
      } else if (is_wanted && S_ISREG(status.st_mode)) {
        found_.files.push_back(path);
      } else if (is_wanted) {
        pass_over(path, "is a pipe or device, expected a file");
      }
    }
  }

  const std::function<bool(const std::string&)>& wanted_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  fs::path root_;
  std::set<fs::path> links_;
  FileSearch found_;
};

}  // namespace

FileSearch find_files(const fs::path& folder,
                      const std::function<bool(const std::string& name)>& wanted) {
  return Search(wanted).run(folder);
}

FileSearch find_files(const fs::path& folder, const std::string& name) {
  return find_files(folder, [&](const std::string& found) { return found == name; });
}

/// What is read from folders of results, models, adapters and data; pictures, pages and other
/// tables that lie there were drawn from them.
bool is_read_from_a_folder(const fs::path& file) {
  const std::string name = file.filename().string(), ending = file.extension().string();
  return name.starts_with("events.out.tfevents") || name == "counts.csv" || name == "fits.csv" ||
         name == "spectrum.csv" || name == "vocab.txt" || name == "merges.txt" ||
         ending == ".json" || ending == ".jsonl" || ending == ".safetensors" || ending == ".tsv" ||
         ending == ".model";
}

bool lies_below(const fs::path& file, const fs::path& folder) {
  std::error_code failure;
  const fs::path whole = fs::weakly_canonical(file, failure),
                 top = fs::weakly_canonical(folder, failure);
  const auto [rest, place] = std::mismatch(top.begin(), top.end(), whole.begin(), whole.end());
  return rest == top.end() && place != whole.end();
}

void expect_not_an_input(const fs::path& out, std::span<const fs::path> inputs) {
  for (const fs::path& input : inputs) {
    std::error_code failure;
    const bool same = fs::equivalent(out, input, failure) ||
                      fs::weakly_canonical(out, failure) == fs::weakly_canonical(input, failure) ||
                      (fs::is_directory(input, failure) && fs::is_regular_file(out, failure) &&
                       is_read_from_a_folder(out) && lies_below(out, input));
    if (same)
      throw UsageError("{}: would replace what is read from it; write to another place",
                       printable(out.string()));
  }
}

void expect_replaceable(const fs::path& out, std::string_view kind,
                        std::span<const std::string_view> beginnings) {
  struct stat status {};
  if (::stat(out.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return;
  const MappedFile file(out);
  const std::string_view start(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  const bool known = std::ranges::any_of(
      beginnings, [&](std::string_view beginning) { return start.starts_with(beginning); });
  if (!known)
    throw Error("{}: exists and is no {}; it is not replaced, remove it or write to another place",
                printable(out.string()), kind);
}

}  // namespace rankfold
