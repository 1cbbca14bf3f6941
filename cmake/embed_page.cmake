# cmake -DOUT=FILE.cpp -DFOLDER=DIR -P embed_page.cmake: report_page.css and .js of DIR as C++.
foreach(part style script)
  set(ending_style css)
  set(ending_script js)
  file(READ ${FOLDER}/report_page.${ending_${part}} text)
  string(APPEND functions "std::string_view report_${part}() {\n  return R\"page(${text})page\";\n}\n\n")
endforeach()
file(WRITE ${OUT} "#include \"analysis/report/report.h\"\n\nnamespace rankfold {\n\n${functions}}  // namespace rankfold\n")
