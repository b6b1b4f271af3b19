/** Functions of schema weft by which rows of an INSERT tell their numbers, and what is computed with them asks for those. */
export const AT_ROW = 'at_row'
export const ROW = 'row_number'
