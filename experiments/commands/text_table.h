#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace rankfold {

/// Writes rows as aligned columns, two blanks between them; the columns in `right` (by index) are
/// aligned at their right. The first row is the header.
void write_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows,
                 const std::vector<std::size_t>& right = {});

/// "8x768"; "1" for a single number.
std::string shape_text(const std::vector<std::size_t>& shape);

/// "1 matrix", "24 matrices".
std::string counted(std::size_t number, const std::string& one, const std::string& many);

}  // namespace rankfold
