(function () {
  "use strict";
  var table = document.getElementById("resources");
  if (!table) { return; }
  var body = table.tBodies[0];
  var value = function (row, column) {
    var cell = row.cells[column];
    if (cell.className.indexOf("absent") !== -1) { return null; }
    var number = cell.getAttribute("data-v");
    return number === null ? cell.textContent : Number(number);
  };
  var compare = function (a, b) {
    return typeof a === "number" ? a - b : String(a).localeCompare(String(b));
  };
  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", direction);
      Array.prototype.slice.call(body.rows).sort(function (left, right) {
        var a = value(left, column);
        var b = value(right, column);
        // What has no number comes last in both directions.
        if (a === null) { return b === null ? 0 : 1; }
        if (b === null) { return -1; }
        return direction === "ascending" ? compare(a, b) : compare(b, a);
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
})();
