#pragma once

#include <cstddef>
#include <string>

namespace rankfold {

/// Pages of a mapped file that cannot be had any more (the file became shorter, its disk failed)
/// come as a signal, SIGBUS. Once this has been called the process then says which file it was, in
/// one line on standard error, and ends with exit status 1.
void report_lost_pages();

/// The name of the file whose pages lie at an address, for that line. Kept for as long as the
/// object lives; where too many are mapped at once, some have no name.
class MappedPages {
 public:
  MappedPages() = default;
  MappedPages(const void* begin, std::size_t size, const std::string& name);
  ~MappedPages();
  MappedPages(MappedPages&& other) noexcept;
  MappedPages& operator=(MappedPages&& other) noexcept;

 private:
  int slot_ = -1;
};

}  // namespace rankfold
