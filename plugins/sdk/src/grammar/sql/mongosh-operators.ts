/** The operators of MongoDB that read and compute. Left out, and so refused: $out, $merge, $function, $accumulator, $where and the like. */
export const operators: ReadonlySet<string> = new Set(
  `eq ne gt gte lt lte in nin and or nor not exists type regex options mod all elemMatch size expr jsonSchema text search language
  caseSensitive diacriticSensitive geoWithin geoIntersects near nearSphere geometry maxDistance minDistance box center centerSphere
  polygon uniqueDocs bitsAllClear bitsAllSet bitsAnyClear bitsAnySet comment rand sampleRate slice meta natural oid date numberLong
  numberInt numberDouble numberDecimal
  match group sort limit skip project addFields set unset unwind count sortByCount bucket bucketAuto facet lookup graphLookup unionWith
  sample replaceRoot replaceWith redact geoNear densify fill setWindowFields collStats indexStats documents
  sum avg min max first last push addToSet stdDevPop stdDevSamp mergeObjects top topN bottom bottomN firstN lastN maxN minN median
  percentile covariancePop covarianceSamp denseRank derivative documentNumber expMovingAvg integral linearFill locf rank shift
  minMaxScaler
  abs add ceil divide exp floor ln log log10 multiply pow round sqrt subtract trunc bitAnd bitNot bitOr bitXor
  arrayElemAt arrayToObject concatArrays filter indexOfArray isArray map objectToArray range reduce reverseArray sortArray zip setDifference
  setEquals setIntersection setIsSubset setUnion allElementsTrue anyElementTrue cmp cond ifNull switch
  dateAdd dateDiff dateFromParts dateFromString dateSubtract dateToParts dateToString dateTrunc dayOfMonth dayOfWeek dayOfYear hour
  isoDayOfWeek isoWeek isoWeekYear millisecond minute month second toDate week year tsIncrement tsSecond
  literal getField setField unsetField let binarySize bsonSize concat indexOfBytes indexOfCP ltrim regexFind regexFindAll regexMatch
  replaceOne replaceAll rtrim split strLenBytes strLenCP strcasecmp substr substrBytes substrCP toLower toString trim toUpper
  sin cos tan asin acos atan atan2 asinh acosh atanh sinh cosh tanh degreesToRadians radiansToDegrees convert isNumber toBool toDecimal
  toDouble toInt toLong toObjectId toUUID toArray toObject toHashedIndexKey`
    .split(/\s+/)
    .map(name => `$${name}`),
)

/** Calls of a collection that read. The ones that give a cursor, the others. */
export const cursorCalls: ReadonlySet<string> = new Set(['find', 'aggregate'])
export const plainCalls: ReadonlySet<string> = new Set([
  'findOne',
  'count',
  'countDocuments',
  'estimatedDocumentCount',
  'distinct',
  'stats',
])

/** Calls of a cursor that shape what it gives. */
export const shapingCalls: ReadonlySet<string> = new Set(
  `limit skip sort projection hint maxTimeMS batchSize collation comment readConcern readPref min max returnKey showRecordId pretty`.split(
    ' ',
  ),
)
/** Calls that end the chain. */
export const lastCalls: ReadonlySet<string> = new Set(['count', 'size', 'itcount', 'toArray', 'explain', 'next', 'tryNext', 'hasNext'])

/** What makes a value: `ObjectId("…")`, with `new` or without. */
export const makers: ReadonlySet<string> = new Set(
  `ObjectId ISODate Date NumberLong NumberInt NumberDecimal Long Int32 Double Decimal128 UUID BinData HexData Timestamp MinKey MaxKey
  RegExp`.split(/\s+/),
)
