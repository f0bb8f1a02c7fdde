$(eval $(call unit_test,test_line_editor,dbgserver/line_editor.c))
