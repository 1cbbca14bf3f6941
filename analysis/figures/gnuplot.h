#pragma once

#include <string>
#include <string_view>

namespace rankfold {

/// `text` as a string of gnuplot's language that is drawn as it is: in single quotes, inside which
/// gnuplot replaces nothing. Apostrophes and backquotes become ’, control characters, separators of
/// lines and bytes that are not UTF-8 '?'. A text of more than `limit` characters is cut and ends
/// in an ellipsis.
std::string gnuplot_text(std::string_view text, std::size_t limit = 400);

/// Whether a gnuplot can be started.
bool gnuplot_is_installed();

/// Runs a script that writes the file `name` (a plain file name) and returns the file's bytes. The
/// script runs in an empty folder of its own, which is removed, without the user's gnuplot
/// settings. Throws Error with gnuplot's message in one line where it is missing, fails or writes
/// nothing.
std::string run_gnuplot(const std::string& script, const std::string& name);

}  // namespace rankfold
