#include "analysis/figures/gnuplot.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "analysis/figures/drawing_tool.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/scratch.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// What gnuplot complained of in one line: the last line it wrote that says something.
std::string last_message(const std::string& output) {
  std::string message = "no message";
  for (const std::string& line : split(output, '\n')) {
    const std::string_view text = trim(line);
    if (!text.empty() && text != "^") message = printable(text, 300);
  }
  return message;
}

/// Control characters, separators of lines, and U+FFFE and U+FFFF, which no XML may hold.
bool is_no_letter(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  const auto second = static_cast<unsigned char>(character[1]);
  return (first == 0xc2 && second < 0xa0) || character == "\u2028" || character == "\u2029" ||
         character == "\xef\xbf\xbe" || character == "\xef\xbf\xbf";
}

/// Replaces the digits of a PDF's date of creation, "/CreationDate (D:20240131235959Z)", by those
/// of one day, so that drawing again gives the same bytes.
void remove_date(std::string& pdf) {
  const std::string_view key = "/CreationDate (D:";
  const std::string_view date = "20000101000000";
  const std::size_t found = pdf.find(key);
  if (found == std::string::npos || found + key.size() + date.size() > pdf.size()) return;
  pdf.replace(found + key.size(), date.size(), date);
}

}  // namespace

std::string gnuplot_text(std::string_view text, std::size_t limit) {
  std::string quoted = "'";
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++characters) {
    if (characters == limit) {
      quoted += "\u2026";
      break;
    }
    const std::size_t size = utf8_length(std::string_view(text).substr(i));
    const char c = text[i];
    if (size == 0 || is_no_letter(text.substr(i, size))) {
      quoted += '?';
    } else if (c == '\'' || c == '`') {
      // gnuplot's own way to write a quote, doubling it, fails where two follow each other.
      quoted += "\u2019";
    } else {
      quoted += text.substr(i, size);
    }
    i += std::max<std::size_t>(size, 1);
  }
  return quoted + "'";
}

bool gnuplot_is_installed() {
  const ScratchFolder folder(drawing_place());
  const ToolResult finished = run_drawing_tool(folder.path(), {"gnuplot", "--version"});
  return finished.spawn_error == 0 && finished.exit_status == 0;
}

std::string run_gnuplot(const std::string& script, const std::string& name) {
  const ScratchFolder folder(drawing_place());
  write_atomically(folder.path() / "script", script);
  const ToolResult finished =
      run_drawing_tool(folder.path(), {"gnuplot", "--default-settings", "script"});
  if (finished.spawn_error != 0) {
    throw Error("gnuplot cannot be started: {} (Debian: apt-get install gnuplot-nox)",
                std::strerror(finished.spawn_error));
  }
  const std::string message = last_message(finished.output);
  if (finished.exit_status != 0) {
    throw Error("gnuplot failed with exit status {}: {}", finished.exit_status, message);
  }
  std::error_code failure;
  const auto size = fs::file_size(folder.path() / name, failure);
  if (failure || size == 0) throw Error("gnuplot wrote no figure: {}", message);
  std::string figure = read_text(folder.path() / name);
  if (figure.starts_with("%PDF")) remove_date(figure);
  return figure;
}

}  // namespace rankfold
